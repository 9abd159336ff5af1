// Package listener opens the sockets that callers connect to, puts TLS on them,
// bounds how many connections and handshakes callers may hold and how long they
// may take nothing, and tells of the malformed requests that net/http answers
// before any handler sees them.
package listener

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Spec describes one socket.
type Spec struct {
	Name    string      // of the listener, for errors
	Network string      // "tcp" or "unix"
	Address string      // host:port, or the path of the socket
	Mode    fs.FileMode // permission bits of a unix socket; 0 means 0600
}

// Open opens the socket of s. An error names the listener, says why it cannot
// be opened and what to do, and wraps the cause.
//
// A unix socket that nobody listens on any more is replaced; another file, or a
// socket in use, never is. The new socket appears under its name with its final
// mode, so that it is at no time open to more users than configured, and its
// file is removed on Close.
func Open(s Spec) (net.Listener, error) {
	var l net.Listener
	var err error
	switch s.Network {
	case "tcp":
		l, err = net.Listen("tcp", s.Address)
	case "unix":
		l, err = openUnix(s)
	default:
		return nil, fmt.Errorf("opening listener %s: network is %q, it must be tcp or unix", s.Name, s.Network)
	}
	if err != nil {
		return nil, fmt.Errorf("opening listener %s: %w; %s", s.Name, err, hint(err, s))
	}
	return l, nil
}

// maxSocketPath is what fits sun_path of unix(7), with its NUL.
const maxSocketPath = 107

// openUnix binds in a private directory beside the name, sets the mode there,
// and moves the socket to its name: neither the process-wide umask, which other
// goroutines would feel, nor a moment with a wrong mode is needed.
func openUnix(s Spec) (net.Listener, error) {
	mode := s.Mode
	if mode == 0 {
		mode = 0o600
	}
	if mode&^0o777 != 0 {
		return nil, fmt.Errorf("mode %v has more than permission bits", mode)
	}
	if err := removeStale(s.Address); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(s.Address), ".zp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	if len(s.Address) > maxSocketPath || len(made) > maxSocketPath {
		return nil, fmt.Errorf("the path %s is too long for a unix socket: %w", s.Address, syscall.ENAMETOOLONG)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the name that is gone
	if err := publish(made, s.Address, mode); err != nil {
		_ = l.Close()
		return nil, err
	}
	info, err := os.Lstat(s.Address)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return &unixListener{UnixListener: l, path: s.Address, made: info}, nil
}

// publish gives the socket its mode and its name. Link fails where rename would
// replace what appeared there meanwhile.
func publish(made, name string, mode fs.FileMode) error {
	if err := os.Chmod(made, mode); err != nil {
		return err
	}
	return os.Link(made, name)
}

// removeStale removes the socket that a process left which did not end cleanly.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: %w", path, fs.ErrExist)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another process listens on %s: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// unixListener knows its file, and removes it only while it is still its own.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// Addr is the name that callers connect to.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops accepting and removes the socket's file.
func (l *unixListener) Close() error {
	if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.made) {
		_ = os.Remove(l.path) // what stays is stale, and the next start removes it
	}
	return l.UnixListener.Close()
}

func hint(err error, s Spec) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop the process that listens there, or give this listener another address"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "give an address that this machine has"
	case errors.Is(err, fs.ErrExist):
		return "move that file away, or give this listener another path"
	case errors.Is(err, fs.ErrNotExist):
		return "create the directory " + filepath.Dir(s.Address)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Sprintf("its directory and name may have about %d bytes together; use a shorter path", maxSocketPath-20)
	case errors.Is(err, fs.ErrPermission) && s.Network == "tcp":
		return "use a port above 1023, or grant CAP_NET_BIND_SERVICE"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that zproxy runs as write to the directory " + filepath.Dir(s.Address)
	}
	return "check its address"
}
