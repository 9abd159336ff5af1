package soak_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/sandbox"
)

// roleVariable makes this program a ZITADEL stand-in: it keeps every request,
// which must not count as the gateway's memory.
const roleVariable = "ZPROXY_SOAK_ROLE"

// tokenLife lets tokens end many times, short as the soak may be.
const tokenLife = 6 * time.Second

// zitadel is what the gateway's process is told of the stand-in.
type zitadel struct {
	Issuer string
	Key    []byte // the service user's first key file
	User   string // somebody to ask for
}

func playZitadel() error {
	s, err := sandbox.Start(sandbox.Options{TokenLifetime: tokenLife})
	if err != nil {
		return err
	}
	z := zitadel{Issuer: s.Issuer().String(), User: s.Users()["alice@acme.example"]}
	id := s.AddMachineUser("soak", "IAM_OWNER")
	if z.Key, err = s.KeyFile(id); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(z); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // its end tells us to stop
	return s.Close()
}

func startZitadel(t *testing.T) zitadel {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=zitadel")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	check(t, err)
	var z zitadel
	check(t, json.Unmarshal(line, &z))
	return z
}

// road is the way to ZITADEL. While it is down nothing goes through, as while
// ZITADEL restarts.
type road struct {
	address, to string

	mu     sync.Mutex
	socket net.Listener // nil: down
	open   map[net.Conn]bool
	all    sync.WaitGroup
}

func newRoad(to string) (*road, error) {
	r := &road{address: "127.0.0.1:0", to: to, open: make(map[net.Conn]bool)}
	err := r.up()
	return r, err
}

func (r *road) up() error {
	socket, err := net.Listen("tcp", r.address)
	if err != nil {
		return fmt.Errorf("opening the way to the stand-in: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.socket, r.address = socket, socket.Addr().String()
	r.all.Go(func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			r.all.Go(func() { r.carry(socket, c) })
		}
	})
	return nil
}

// down closes everything, and waits for it.
func (r *road) down() {
	r.mu.Lock()
	if r.socket != nil {
		r.socket.Close()
		r.socket = nil
	}
	for c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}

// keep notes an open connection, unless the road has gone down since.
func (r *road) keep(of net.Listener, c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket != of {
		return false
	}
	r.open[c] = true
	return true
}

func (r *road) end(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

func (r *road) carry(of net.Listener, in net.Conn) {
	defer r.end(in)
	out, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer r.end(out)
	if !r.keep(of, in) || !r.keep(of, out) {
		return
	}
	back := make(chan struct{})
	go func() { defer close(back); _, _ = io.Copy(in, out); in.Close() }()
	_, _ = io.Copy(out, in)
	out.Close()
	<-back
}
