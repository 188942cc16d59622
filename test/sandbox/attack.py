"""Tries one way out of a sandbox, in Python, and says what came of it."""
import ctypes
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if function(*args) == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def read(path):
    with open(path, "rb") as f:
        if not f.read(1):
            raise OSError("it is empty")


def link(make):
    path = os.environ["GRANTED"] + "/py-link"
    if os.path.lexists(path):
        os.remove(path)
    make(os.environ["SECRET"], path)
    read(path)


def write(path):
    with open(path, "w") as f:
        f.write("attack")


def setuid_bit():
    path = os.environ["GRANTED"] + "/py-bit"
    write(path)
    os.chmod(path, 0o4755)


def namespace():
    # CLONE_NEWUSER | CLONE_NEWNS
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(0x10000000 | 0x20000) == 0 else 1)
    if os.waitpid(pid, 0)[1] != 0:
        raise OSError("unshare")


def keyring():
    add_key = {"x86_64": 248, "aarch64": 217}[platform.machine()]
    call(libc.syscall, add_key, b"user", b"gatehouse-attack", b"secret", 6, -2)


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        s.connect(address)


def place(name):
    host, port = os.environ[name].rsplit(":", 1)
    return host.strip("[]"), int(port)


def reach(name, host=None):
    own, port = place(name)
    host = host or own
    with socket.create_connection((host, port), 1) as s:
        if not s.recv(1):
            raise OSError("nobody answers")


def send(name):
    host, port = place(name)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((host, port))  # so that it is told that nobody listens
        s.send(b"x")
        s.recv(1)


def datagram():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.sendto(b"attack", os.environ["DATAGRAMS"])


def rename_out():
    path = os.environ["GRANTED"] + "/py-carried"
    write(path)
    os.rename(path, os.environ["OUTSIDE"] + "/py-carried")


def setuid_program():
    out = subprocess.run([os.environ["SETUID"], "whoami"], check=True, capture_output=True).stdout
    if out.strip() != b"0":
        raise OSError("it runs as user " + out.decode())


def setuid_create():
    path = os.environ["GRANTED"] + "/py-created"
    if os.path.lexists(path):
        os.remove(path)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o4755))


def vm_read():
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    word = ctypes.create_string_buffer(8)
    here, there = Vector(ctypes.addressof(word), 8), Vector(0x400000, 8)
    if libc.process_vm_readv(os.getppid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == -1 and ctypes.get_errno() != 14:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


def mount():
    at = os.environ["OUTSIDE"].encode()
    call(libc.mount, b"attack", at, b"tmpfs", 0, b"size=4k")
    call(libc.umount2, at, 2)


def bpf():
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    attr = ctypes.create_string_buffer(b"\2\0\0\0\4\0\0\0\4\0\0\0\1", 72)
    call(libc.syscall, number, 0, attr, 72)


def hold(error):
    """Keeps what was taken for as long as an attack would last."""
    time.sleep(1)
    return error


def fork_bomb():
    children = []
    try:
        for _ in range(int(os.environ["BOMB_PROCESSES"])):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except OSError as e:
        raise hold(e)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def eat(size, how):
    with mmap.mmap(-1, size, flags=how | mmap.MAP_ANONYMOUS) as m:
        for at in range(0, size, 4096):
            m[at] = 1
        time.sleep(1)


def memory_bomb_many():
    size, parts, children = int(os.environ["BOMB_BYTES"]), 8, []
    for _ in range(parts):
        pid = os.fork()
        if pid == 0:
            eat(size // parts, mmap.MAP_PRIVATE)
            os._exit(0)
        children.append(pid)
    ended = [os.waitpid(pid, 0)[1] for pid in children]
    if any(ended):
        raise OSError("one of them was ended")


def disk_fill():
    left, files = int(os.environ["BOMB_BYTES"]), []
    try:
        while left > 0:
            f = tempfile.TemporaryFile(dir="/tmp", buffering=0)
            files.append(f)
            for _ in range(8):
                if f.write(b"x" * (1 << 20)) < 1 << 20:
                    f.write(b"x" * (1 << 20))
            left -= 8 << 20
    except OSError as e:
        raise hold(e)


def large_file():
    path = os.environ["GRANTED"] + "/py-large"
    try:
        with open(path, "wb") as f:
            f.truncate(64 << 20)
    finally:
        os.remove(path)


def many_files():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        try:
            for i in range(int(os.environ["MANY_FILES"])):
                open(f"{folder}/{i}", "w").close()
        except OSError as e:
            raise hold(e)


def open_files():
    files = []
    try:
        for _ in range(600):
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as e:
        raise hold(e)


def inherited():
    if not os.readlink("/proc/self/fd/" + os.environ["LEAKED"]).endswith("id_test"):
        raise OSError("it is something else")


def run_unlisted():
    path = os.environ["GRANTED"] + "/py-program"
    with open("/proc/self/exe", "rb") as this, open(path, "wb") as copy:
        copy.write(this.read())
    os.chmod(path, 0o755)
    subprocess.run([path, "-S", "-c", ""], check=True)


def run_from_memory():
    fd = os.memfd_create("program", 0)
    with open(os.environ["LISTED"], "rb") as program:
        os.write(fd, program.read())
    subprocess.run([f"/proc/self/fd/{fd}", "whoami"], check=True, pass_fds=[fd])


def parent(name):
    return f"/proc/{os.getppid()}/{name}"


ATTACKS = {
    "read-secret": lambda: read(os.environ["SECRET"]),
    "list-outside": lambda: os.stat(os.environ["OUTSIDE"] + "/there"),
    "write-outside": lambda: write(os.environ["OUTSIDE"] + "/py-written"),
    "write-program": lambda: open(os.environ["OTHER"], "ab").close(),
    "symlink": lambda: link(os.symlink),
    "hardlink": lambda: link(os.link),
    "dotdot": lambda: read(os.environ["GRANTED"] + "/../home/.ssh/id_test"),
    "rename-out": rename_out,
    "proc-root": lambda: read(parent("root") + os.environ["SECRET"]),
    "proc-cwd": lambda: os.listdir(parent("cwd")),
    "proc-environ": lambda: read(parent("environ")),
    "proc-mem": lambda: open(parent("mem"), "rb").close(),
    "proc-fd": lambda: os.listdir(parent("fd")),
    "setuid-program": setuid_program,
    "setuid-bit": setuid_bit,
    "setuid-create": setuid_create,
    "setuid": lambda: os.setuid(0),
    "setgroups": lambda: os.setgroups([0]),
    "ptrace": lambda: call(libc.ptrace, 0x4206, os.getppid(), 0, 0),
    "vm-read": vm_read,
    "mount": mount,
    "bpf": bpf,
    "signal-parent": lambda: os.kill(os.getppid(), 0),
    "namespace": namespace,
    "keyring": keyring,
    "abstract-socket": lambda: connect(socket.AF_UNIX, "\0" + os.environ["ABSTRACT"]),
    "unix-socket": lambda: connect(socket.AF_UNIX, os.environ["SOCKET"]),
    "unix-datagram": datagram,
    "raw-socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "packet-socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
    "direct-ip": lambda: reach("LISTENER"),
    "direct-ip-v6": lambda: reach("LISTENER6"),
    "mapped-v6": lambda: reach("LISTENER", "::ffff:" + place("LISTENER")[0]),
    "other-machine": lambda: reach("ELSEWHERE"),
    "connect": lambda: reach("PLACE"),
    "send": lambda: send("PLACE"),
    "resolve": lambda: socket.getaddrinfo(os.environ["PLACE"], 443),
    "direct-udp": lambda: send("UDP"),
    "run-unlisted": run_unlisted,
    "run-from-memory": run_from_memory,
    "fork-bomb": fork_bomb,
    "memory-bomb": lambda: eat(int(os.environ["BOMB_BYTES"]), mmap.MAP_PRIVATE),
    "memory-bomb-shared": lambda: eat(int(os.environ["BOMB_BYTES"]), mmap.MAP_SHARED),
    "memory-bomb-many": memory_bomb_many,
    "disk-fill": disk_fill,
    "large-file": large_file,
    "many-files": many_files,
    "open-files": open_files,
    "inherited-file": inherited,
}

for name in sys.argv[1:]:
    print("trying", name, flush=True)
    try:
        ATTACKS[name]()
        print("worked", flush=True)
    except (OSError, MemoryError, subprocess.SubprocessError) as e:
        print("refused:", repr(e), flush=True)
