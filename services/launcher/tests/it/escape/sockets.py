NETLINK_ROUTE, NEW_LINK, NEW_ADDRESS, NEW_ROUTE = 0, 16, 20, 24

def route(kind, body):
    # Asks the kernel for a change and hears what it says.
    way = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    way.sendto(struct.pack('IHHII', 16 + len(body), kind, 0x605, 1, 0) + body, (0, 0))
    code = -struct.unpack_from('i', way.recv(4096), 16)[0]
    if code:
        raise OSError(code, 'netlink')

def connect(port, host='127.0.0.1', family=socket.AF_INET):
    with socket.socket(family) as way:
        way.settimeout(2)
        way.connect((host, port))

attempt('control', lambda: connect(9099))
for port in tcp:
    attempt('the loopback of the host', lambda: connect(port), ABSENT)
    attempt('the same over IPv6', lambda: connect(port, '::1', socket.AF_INET6), ABSENT)
    attempt('the same by another address', lambda: connect(port, '127.9.9.9'), ABSENT)

attempt('this host from a network of the engine', lambda: connect(tcp[1], outside), ABSENT)

def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.settimeout(2)
        way.connect(('127.0.0.1', udp))
        way.send(b'x')
        way.recv(1)
attempt('a datagram', datagram, ABSENT)

# A link, an address and a route of its own.
attempt('a link', lambda: route(NEW_LINK, struct.pack('BxHiII', 0, 0, 0, 0, 0) + struct.pack('HH', 7, 3) + b'new\0'))
attempt('an address', lambda: route(NEW_ADDRESS, struct.pack('BBBBI', 2, 24, 0, 0, 1) + struct.pack('HH4B', 8, 2, 198, 19, 0, 1)))
attempt('a route', lambda: route(NEW_ROUTE, struct.pack('BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack('HHi', 8, 4, 1)))

# Sockets below those that programs need.
for name, family, kind, protocol in (('raw', socket.AF_INET, socket.SOCK_RAW, 1), ('raw over IPv6', socket.AF_INET6, socket.SOCK_RAW, 58),
                                     ('packet', socket.AF_PACKET, socket.SOCK_RAW, 0x300), ('vsock', 40, socket.SOCK_STREAM, 0),
                                     ('audit', socket.AF_NETLINK, socket.SOCK_RAW, 9), ('netfilter', socket.AF_NETLINK, socket.SOCK_RAW, 12)):
    attempt(name, lambda: socket.socket(family, kind, protocol).close())
def name_of_a_stranger():
    try:
        socket.getaddrinfo('localhost.example', 80)
    except socket.gaierror:
        raise PermissionError(errno.EPERM, 'no resolver')
attempt('a name', name_of_a_stranger)
