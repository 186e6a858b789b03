NEW = {'cgroup': 0x02000000, 'uts': 0x04000000, 'ipc': 0x08000000, 'user': 0x10000000, 'pid': 0x20000000, 'net': 0x40000000,
       'mount': 0x00020000}
attempt('control', lambda: os.mkfifo('/tmp/fifo'))

# File systems.
call('mount tmpfs', 165, 40, b'none', b'/tmp', b'tmpfs', 0, 0)
call('mount proc', 165, 40, b'proc', b'/tmp', b'proc', 0, 0)
call('mount cgroup', 165, 40, b'none', b'/tmp', b'cgroup', 0, b'memory')
call('mount cgroup2', 165, 40, b'none', b'/tmp', b'cgroup2', 0, 0)
call('bind mount', 165, 40, b'/', b'/tmp', None, 0x1000, 0)
call('remount for writing', 165, 40, None, b'/', None, 0x20, 0)
call('make shared', 165, 40, None, b'/', None, 1 << 20, 0)
for path in (b'/etc/hosts', b'/proc/sys', b'/sys', b'/etc/bot-bottle', b'/tmp'):
    call('umount ' + path.decode(), 166, 39, path, 2)
call('pivot_root', 155, 41, b'/tmp', b'/tmp')
call('chroot', 161, 51, b'/tmp')
call('open_tree', 428, 428, -100, b'/', 1)
call('move_mount', 429, 429, -100, b'/', -100, b'/tmp', 0)
call('fsopen', 430, 430, b'tmpfs', 0)
call('mount_setattr', 442, 442, -100, b'/', 0, 0, 0)
call('swapon', 167, 224, b'/tmp/fifo', 0)
call('quotactl', 179, 60, 0x800002, b'/', 0, 0)
call('fanotify_init', 300, 262, 0, 0)
call('open_by_handle_at', 304, 265, -100, b'\x08\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0', 0)
for name, kind in (('block', 0o60600), ('character', 0o20600)):
    for place in ('/tmp', '/home/agent', '/dev/shm'):
        attempt(name + ' device in ' + place, lambda: os.mknod(place + '/device', kind, os.makedev(1, 1)))

# Namespaces, other processes' and new ones.
for name, flag in NEW.items():
    call('unshare ' + name, 272, 97, flag)
    call('clone ' + name, 56, 220, flag | signal.SIGCHLD, 0, 0, 0, 0)
for name in ('net', 'mnt', 'user'):
    kept = os.open('/proc/self/ns/' + name, os.O_RDONLY)
    call('setns ' + name, 308, 268, kept, 0)

# Other rights and other users, who do not even exist where a user namespace knows only one.
attempt('setuid', lambda: os.setuid(12345), REFUSED | {errno.EINVAL})
attempt('setgid', lambda: os.setgid(12345), REFUSED | {errno.EINVAL})
attempt('setgroups', lambda: os.setgroups([12345]))
attempt('chown', lambda: (open('/tmp/mine', 'w'), os.chown('/tmp/mine', 12345, 12345)), REFUSED | {errno.EINVAL})
attempt('nice', lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
attempt('hostname', lambda: socket.sethostname('other'))
header, every = struct.pack('II', 0x20080522, 0), struct.pack('6I', *[0xffffffff] * 6)
call('capset', 126, 91, header, every)
