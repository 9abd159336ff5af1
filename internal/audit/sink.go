package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sink is where lines go, and knows how the last one ended.
type sink struct {
	out   io.Writer
	file  *os.File // nil with a Writer
	name  string
	named bool // name is a path
	whole bool // a regular file of ours: what a failed write left can be cut off
	torn  bool // the last line has no newline
}

func openSink(o Options) (*sink, error) {
	switch {
	case o.Writer != nil:
		return &sink{out: o.Writer, name: "its writer"}, nil
	case o.File == "-":
		return openStdout()
	}
	f, err := os.OpenFile(o.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening audit log: %w; %s", err, openHint(err))
	}
	s := &sink{out: f, file: f, name: o.File, named: true}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening audit log: %w; %s", err, openHint(err))
	}
	if s.whole = info.Mode().IsRegular(); s.whole {
		s.torn = endsTorn(o.File, info.Size())
	}
	return s, nil
}

// openStdout writes to a duplicate of standard output: a broken pipe on
// descriptor 1 itself ends a Go process by SIGPIPE, and must be an error here.
func openStdout() (*sink, error) {
	fd, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("opening audit log: duplicating standard output: %w; start with standard output open, or name a file", err)
	}
	f := os.NewFile(uintptr(fd), "/dev/stdout")
	return &sink{out: f, file: f, name: "standard output"}, nil
}

// endsTorn says whether a file that an earlier process left must be given a
// newline first. One too many is harmless, one too few joins two records.
func endsTorn(name string, size int64) bool {
	if size == 0 {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return true
	}
	defer f.Close()
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return true
	}
	return last[0] != '\n'
}

// begin returns buf with what must stand before the next line.
func (s *sink) begin(buf []byte) []byte {
	if s.torn {
		return append(buf, '\n')
	}
	return buf
}

// write writes a whole line, or leaves the sink so that the next one is whole.
func (s *sink) write(line []byte) error {
	n, err := s.out.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err == nil {
		s.torn = false
		return nil
	}
	if n > 0 && !s.cut(int64(n)) {
		s.torn = true
	}
	return fmt.Errorf("writing audit record to %s: %w; %s", s.name, err, writeHint(err))
}

// cut takes the last n bytes off again.
func (s *sink) cut(n int64) bool {
	if !s.whole {
		return false
	}
	info, err := s.file.Stat()
	return err == nil && info.Size() >= n && s.file.Truncate(info.Size()-n) == nil
}

func (s *sink) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func openHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "create its directory"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that zproxy runs as write there"
	case errors.Is(err, syscall.EISDIR):
		return "name a file, not a directory"
	}
	return "name a file that can be appended to"
}

func writeHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on its disk"
	case errors.Is(err, syscall.EPIPE):
		return "restart what reads it"
	case errors.Is(err, os.ErrClosed):
		return "something closed it; restart zproxy"
	}
	return "check the file and its disk"
}
