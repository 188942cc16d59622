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
        s.settimeout(2)
        s.connect(address)


def tcp():
    host, port = os.environ["LISTENER"].rsplit(":", 1)
    connect(socket.AF_INET, (host, int(port)))


def fork_bomb():
    children = []
    try:
        for _ in range(int(os.environ["BOMB_PROCESSES"])):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def memory_bomb():
    size = int(os.environ["BOMB_BYTES"])
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as m:
        for at in range(0, size, 4096):
            m[at] = 1
        signal.sigtimedwait([signal.SIGUSR1], 1)


def disk_fill():
    left, files = int(os.environ["BOMB_BYTES"]), []
    while left > 0:
        f = tempfile.TemporaryFile(dir="/tmp")
        files.append(f)
        f.write(b"x" * (8 << 20))
        f.flush()
        left -= 8 << 20


ATTACKS = {
    "read-secret": lambda: read(os.environ["SECRET"]),
    "write-outside": lambda: write(os.environ["OUTSIDE"] + "/py-written"),
    "symlink": lambda: link(os.symlink),
    "hardlink": lambda: link(os.link),
    "proc-root": lambda: read(f"/proc/{os.getppid()}/root" + os.environ["SECRET"]),
    "proc-environ": lambda: read(f"/proc/{os.getppid()}/environ"),
    "setuid-bit": setuid_bit,
    "ptrace": lambda: call(libc.ptrace, 0x4206, os.getppid(), 0, 0),
    "signal-parent": lambda: os.kill(os.getppid(), 0),
    "namespace": namespace,
    "keyring": keyring,
    "abstract-socket": lambda: connect(socket.AF_UNIX, "\0" + os.environ["ABSTRACT"]),
    "raw-socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "direct-ip": tcp,
    "run-unlisted": lambda: subprocess.run([os.environ["UNLISTED"], "whoami"], check=True),
    "fork-bomb": fork_bomb,
    "memory-bomb": memory_bomb,
    "disk-fill": disk_fill,
}

name = sys.argv[1]
print("trying", name, flush=True)
try:
    ATTACKS[name]()
    print("worked")
except (OSError, MemoryError, subprocess.SubprocessError) as e:
    print("refused:", repr(e))
