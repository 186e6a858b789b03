//! System calls that a real bottle refuses, made for real. Needs bubblewrap, user namespaces and Python.

use crate::support::{Host, on_each_backend, python, under_gvisor};

/// Makes each call and prints its error number; 0 means that it worked.
const CALLS: &str = "
import ctypes, errno, socket, fcntl, platform, os
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
def call(name, x86_number, arm_number, *args):
    ctypes.set_errno(0)
    libc.syscall(x86_number if x86 else arm_number, *args)
    e = ctypes.get_errno()
    print(name, errno.errorcode.get(e, e))
call('add_key', 248, 217, b'user', b'x', b'y', 1, -2)
call('keyctl', 250, 219, 0, -3, 0)
call('bpf', 321, 280, 0, 0, 0)
call('perf_event_open', 298, 241, 0, 0, -1, -1, 0)
call('userfaultfd', 323, 282, 1)
call('io_uring_setup', 425, 425, 1, 0)
call('mount', 165, 40, b'none', b'/tmp', b'tmpfs', 0, 0)
call('open_tree', 428, 428, -100, b'/', 0)
call('open_tree_attr', 467, 467, -100, b'/', 0, 0, 0)
call('adjtimex', 159, 171, 0)
call('clock_adjtime', 305, 266, 0, 0)
call('unshare user', 272, 97, 0x10000000)
call('unshare net', 272, 97, 0x40000000)
call('clone user', 56, 220, 0x10000000 | 17, 0, 0, 0, 0)
call('clone3', 435, 435, 0, 0)
call('setns', 308, 268, 0, 0)
call('personality', 135, 92, 0x0040000)
call('open_by_handle_at', 304, 265, 0, 0, 0)
call('socketpair', 53, 199, 2, 1, 0, 0)
call('unshare files', 272, 97, 0x400)
def sock(name, family, kind, protocol=0):
    try:
        socket.socket(family, kind, protocol); print(name, 'open')
    except OSError as e: print(name, errno.errorcode[e.errno])
sock('unix', 1, 1)
sock('inet', 2, 1)
sock('inet6', 10, 2)
sock('netlink route', 16, 3, 0)
sock('netlink audit', 16, 3, 9)
sock('packet', 17, 3)
sock('alg', 38, 5)
sock('vsock', 40, 1)
sock('bluetooth', 31, 3)
sock('raw', 2, 3, 1)
for name, request in (('TIOCSTI', 0x5412), ('TIOCLINUX', 0x541c)):
    try: fcntl.ioctl(os.open('/dev/ptmx', os.O_RDWR), request, b'x'); print(name, 'done')
    except OSError as e: print(name, errno.errorcode[e.errno])
";

on_each_backend!(ordinary_programs_work);

under_gvisor!(
    what_opens_the_kernel_is_refused,
    callers_of_another_interface_are_killed,
    ordinary_programs_work,
);

pub(crate) async fn what_opens_the_kernel_is_refused(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let seen = python(&mut bottle, CALLS).await;
    // Told once for every agent.
    insta::allow_duplicates! {
    insta::assert_snapshot!(seen, @r#"
    add_key EPERM
    keyctl EPERM
    bpf EPERM
    perf_event_open EPERM
    userfaultfd EPERM
    io_uring_setup ENOSYS
    mount EPERM
    open_tree EPERM
    open_tree_attr EPERM
    adjtimex EPERM
    clock_adjtime EPERM
    unshare user EPERM
    unshare net EPERM
    clone user EPERM
    clone3 ENOSYS
    setns EPERM
    personality EPERM
    open_by_handle_at EPERM
    socketpair EPERM
    unshare files 0
    unix open
    inet open
    inet6 open
    netlink route open
    netlink audit EPERM
    packet EPERM
    alg EPERM
    vsock EPERM
    bluetooth EPERM
    raw EPERM
    TIOCSTI EPERM
    TIOCLINUX EPERM
    "#);
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) async fn callers_of_another_interface_are_killed(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    // getpid under its x32 number.
    let script = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39)";
    let outcome = crate::support::exec(&mut bottle, &["/usr/bin/python3", "-c", script]).await;
    assert_eq!(outcome.code, Some(128 + 31), "{outcome:?}");
}

async fn ordinary_programs_work(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let script = "
import threading, subprocess, multiprocessing, tempfile, ssl, sqlite3
t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()
print(subprocess.check_output(['git', '--version'], text=True).split()[0])
print(subprocess.check_output('id -un; hostname; getent hosts egress', shell=True, text=True).split())
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
";
    let seen = python(&mut bottle, script).await;
    // Told once for both backends.
    insta::allow_duplicates! {
    insta::assert_snapshot!(seen, @r#"
    thread
    git
    ['agent', 'a-00000', '127.0.0.1', 'localhost', 'egress', 'gitgate', 'supervise', 'a-00000']
    [1, 2]
    "#);
    }
}
