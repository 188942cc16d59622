//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// spec is everything that the first process of a sandbox is told. It travels over
// a socket and is seen in no list of processes.
type spec struct {
	Program string // path inside
	Args    []string
	Env     []string
	Dir     string
	UID     int
	GID     int

	Mounts  []mount
	Links   []link
	Folders []string // empty ones, so that a path to something exists
	Files   []file   // written into the root
	Home    string
	Scratch int // bytes of /tmp, /dev/shm and a temporary home; 0: half the memory of the machine

	Limits limits
	Life   time.Duration // 0: as long as it wants
	Watch  int           // bytes of memory that pid 1 holds all processes to; 0: the kernel does

	Host        map[string]string // names of the gateway's own namespaces
	Hidden      []string          // paths that must not exist inside
	Network     []string          // places that may be reached; none without a network
	Allowed     []string          // controls that may be missing
	Outside     []Control         // what the gateway enforces from outside
	NoUnix      bool              // no unix sockets, which could be led to one of the machine
	RecordFiles bool              // uses of files that are refused are on record
	Observe     bool              // what the server uses is sent when it has ended
	Trial       bool              // only the report is wanted

	Contained string   // the engine that made the container around this; "" for none
	Private   []string // the container's file systems in memory
}

// mount is something of the machine that is seen inside, at the same path.
type mount struct {
	Path   string
	Folder bool
	Write  bool
	Exec   bool // may be started as a program
	Device bool
	Inner  bool // lies within another mount
	Asked  bool // the profile names it, so that the server must be able to use it
	Blank  bool // nothing is seen there
	Lent   int  // descriptor of the mount in the first process; 0: it makes it
}

type link struct{ Path, Target string }

type file struct {
	Path   string
	Data   []byte
	Secret bool // only for the server's user
}

type limits struct {
	Memory      int // of one process
	Processes   int
	Descriptors int
	FileSize    int
	CPUs        int // how many of the processors; 0: all
	Asked       asked
}

// asked repeats the limits of the profile, for the report.
type asked struct {
	Processes, Descriptors, Disk, FileSize int
	CPU                                    float64
	Time                                   time.Duration
}

// outcome is what a sandbox says before the server begins.
type outcome struct {
	Report Report
	Error  string // why the server was not started
}

// problem is why the server does not begin; nil if it does.
func (o outcome) problem(allowed []string) error {
	probed := len(o.Report.Controls) > 0
	if err := o.Report.Err(allowed); err != nil && (probed || o.Error == "") {
		return err
	}
	if o.Error != "" {
		return errors.New(o.Error)
	}
	return nil
}

// maxFrame bounds one message between the processes of a sandbox. A spec names
// files by the hundred, not by the million.
const maxFrame = 4 << 20

func writeFrame(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if len(text) > maxFrame {
		return fmt.Errorf("the description of the sandbox has more than %d bytes", maxFrame)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

func readFrame(r io.Reader, value any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return fmt.Errorf("a message of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return json.Unmarshal(text, value)
}
