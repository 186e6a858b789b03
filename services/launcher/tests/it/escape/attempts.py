import ctypes, errno, os, platform, signal, socket, struct

made = 0
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
# What says that somebody is not let. Anything else, such as a complaint of an argument, has got past that.
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS}
# What says that there is nobody and nothing there.
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.ECONNREFUSED, errno.ENETUNREACH,
          errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}

def attempt(name, work, refusals=REFUSED):
    global made
    made += 1
    try:
        work()
    except OSError as error:
        if error.errno in refusals:
            return
        print(name, errno.errorcode.get(error.errno, error), flush=True)
    else:
        print(name, flush=True)

def call(name, x86_number, arm_number, *arguments):
    # As wide as a register: what is above a plain number is not always nothing.
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    def work():
        ctypes.set_errno(0)
        if libc.syscall(x86_number if x86 else arm_number, *wide) == -1:
            raise OSError(ctypes.get_errno(), name)
    attempt(name, work)
