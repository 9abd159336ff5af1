package authn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// UnixCaller names the peers of a unix socket that run as a user or a group;
// exactly one of UID and GID is set.
type UnixCaller struct {
	Name string
	UID  *uint32
	GID  *uint32
}

type unixEntry struct {
	caller Caller
	id     uint32
}

type unixPeers struct {
	users, groups []unixEntry
}

// NewUnix returns an Authenticator that names callers by the credentials that
// the kernel keeps of a unix socket's peer: those of the process at the time it
// connected. Entries with a uid are tried first, then those with a gid, which
// match the peer's primary group (the kernel's answer leaves supplementary ones
// out); among several that match, the first in the order given wins. Nobody matching is [ReasonUnknownCaller],
// and a browser's header [ReasonBrowser]. Host is not checked: no name leads to
// a unix socket. The server needs [ConnContext].
func NewUnix(callers []UnixCaller) (Authenticator, error) {
	if len(callers) == 0 {
		return nil, errors.New("making unix callers: none is named, and nobody could call; name one by uid or gid")
	}
	var u unixPeers
	seen := make(map[string]bool)
	for _, c := range callers {
		caller, err := Unix(c.Name)
		if err != nil {
			return nil, err
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("making unix callers: %q is named twice; give each entry its own name", c.Name)
		}
		seen[c.Name] = true
		switch {
		case c.UID != nil && c.GID == nil:
			u.users = append(u.users, unixEntry{caller, *c.UID})
		case c.GID != nil && c.UID == nil:
			u.groups = append(u.groups, unixEntry{caller, *c.GID})
		default:
			return nil, fmt.Errorf("making unix callers: %q must have exactly one of uid and gid", c.Name)
		}
	}
	return &u, nil
}

// Authenticate implements [Authenticator].
func (u *unixPeers) Authenticate(r *http.Request) (Identity, error) {
	p := peerOf(r.Context())
	id := Identity{Peer: p.text(r)}
	if err := CheckBrowser(r.Header); err != nil {
		return id, err
	}
	if p == nil {
		return id, &Error{ReasonUnknownCaller, "naming the caller: the connection's peer credentials cannot be read; connect over this listener's unix socket"}
	}
	for _, e := range u.users {
		if e.id == p.uid {
			id.Caller = e.caller
			return id, nil
		}
	}
	for _, e := range u.groups {
		if e.id == p.gid {
			id.Caller = e.caller
			return id, nil
		}
	}
	return id, &Error{ReasonUnknownCaller, "naming the caller: no caller of this listener has the " + p.shown + "; add the uid or a gid to the listener's callers"}
}

type peerKey struct{}

// peer is what the kernel knows of the other end of a unix socket.
type peer struct {
	uid, gid uint32
	shown    string
}

// text is p for an [Identity]; without credentials, what net/http has.
func (p *peer) text(r *http.Request) string {
	if p == nil {
		return r.RemoteAddr
	}
	return p.shown
}

// ConnContext is for [http.Server.ConnContext]: it reads the peer credentials
// of a unix socket once, when it is accepted. Wrapped connections are opened by
// their NetConn or SyscallConn method. For other connections it returns ctx.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	for {
		if _, ok := c.RemoteAddr().(*net.UnixAddr); !ok {
			return ctx
		}
		if s, ok := c.(syscall.Conn); ok {
			if p := readPeer(s); p != nil {
				return context.WithValue(ctx, peerKey{}, p)
			}
			return ctx
		}
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return ctx
		}
		c = inner.NetConn()
	}
}

// Peer is who is at the other end of the connection that r came over, as an
// [Identity] has it.
func Peer(r *http.Request) string { return peerOf(r.Context()).text(r) }

func peerOf(ctx context.Context) *peer {
	p, _ := ctx.Value(peerKey{}).(*peer)
	return p
}

// readPeer asks the kernel (unix(7), SO_PEERCRED); nil means that it does not tell.
func readPeer(c syscall.Conn) *peer {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return nil
	}
	decimal := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	return &peer{
		uid: cred.Uid, gid: cred.Gid,
		shown: "uid=" + decimal(cred.Uid) + " gid=" + decimal(cred.Gid) + " pid=" + strconv.Itoa(int(cred.Pid)),
	}
}
