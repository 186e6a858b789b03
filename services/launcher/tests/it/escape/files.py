attempt('control', lambda: open('/home/agent/mine', 'w'))

# A setting of the kernel that can be opened for writing. Where a bottle has a value of its own it is made another one, which
# must not be seen outside; nothing else is written, since it would be the host's.
def change(path):
    setting = os.open(path, os.O_WRONLY)
    try:
        if path in own or path.startswith('/proc/sys/fs/mqueue/'):
            os.write(setting, str(int(open(path).read()) - 1).encode())
    except (OSError, ValueError):
        pass
    finally:
        os.close(setting)
for place, directories, names in os.walk('/proc/sys'):
    for name in names:
        path = os.path.join(place, name)
        attempt(path, lambda: change(path), REFUSED | ABSENT)

# The kernel's memory, its log and its switches.
for path in ('/dev/mem', '/dev/kmem', '/dev/port', '/dev/kmsg', '/dev/fuse', '/dev/net/tun', '/dev/kvm', '/dev/loop-control',
             '/dev/mapper/control', '/proc/kcore', '/proc/kmsg', '/proc/1/mem', '/proc/kallsyms.raw'):
    attempt('read ' + path, lambda: open(path, 'rb', buffering=0).read(1), REFUSED | ABSENT)
for path in ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/irq/default_smp_affinity',
             '/proc/bus/pci', '/proc/acpi/wakeup', '/proc/mtrr', '/proc/scsi/scsi'):
    attempt('write ' + path, lambda: os.close(os.open(path, os.O_WRONLY)), REFUSED | ABSENT | {errno.EISDIR})
for name, text in (('1/uid_map', '0 0 1'), ('self/uid_map', '0 0 1'), ('self/gid_map', '0 0 1'), ('self/setgroups', 'allow'),
                   ('self/oom_score_adj', '-1000'), ('1/oom_score_adj', '-1000')):
    def write():
        file = os.open('/proc/' + name, os.O_WRONLY)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    attempt('write /proc/' + name, write)
call('dmesg', 103, 116, 3, b'\0' * 8, 8)
call('size of dmesg', 103, 116, 10, 0, 0)
for name, numbers in (('init_module', (175, 105)), ('finit_module', (313, 273)), ('delete_module', (176, 106)),
                      ('kexec_load', (246, 104)), ('add_key', (248, 217)), ('keyctl', (250, 219)), ('request_key', (249, 218)),
                      ('acct', (163, 89)), ('reboot', (169, 142)), ('settimeofday', (170, 170)), ('lookup_dcookie', (212, 18))):
    call(name, *numbers, 0, 0, 0, 0, 0)

# Control groups, and through them a program on the host.
def groups():
    for place, directories, names in os.walk('/sys'):
        for name in names:
            if name in ('release_agent', 'cgroup.procs', 'notify_on_release'):
                raise FileExistsError(errno.EEXIST, os.path.join(place, name))
    raise PermissionError(errno.EPERM, 'none')
attempt('a control group', groups)

# The system that it runs on, init and what led init to its launcher.
for path in ('/x', '/usr/x', '/etc/x', '/etc/hosts', '/etc/passwd', '/etc/ld.so.preload', '/run/x', '/etc/bot-bottle/x',
             '/.bot-bottle/x', '/.bot-bottle/way/x', '/dev/x', '/sys/x'):
    attempt('write ' + path, lambda: open(path, 'w'), REFUSED | ABSENT)
for path in ('/.bot-bottle/init', '/proc/1/exe', '/usr/bin/python3', '/proc/self/exe'):
    attempt('overwrite ' + path, lambda: open(path, 'r+b'), REFUSED | {errno.ETXTBSY})
attempt('replace init', lambda: os.rename('/home/agent/mine', '/.bot-bottle/init'), REFUSED | {errno.EXDEV, errno.EBUSY})
attempt('the hand-over', lambda: socket.socket(socket.AF_UNIX).connect('/.bot-bottle/way/init'), ABSENT)
attempt('a file of the host', lambda: os.stat(of_the_host), REFUSED | ABSENT)
attempt('of the engine', lambda: socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock'), ABSENT)
