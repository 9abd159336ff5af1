package listener

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Socket is an open socket whose connections go to one [Taker] at a time: who
// serves them can change while the socket stays open, and nobody is refused
// meanwhile.
type Socket struct {
	net.Listener
	ended chan struct{} // closed once nothing is accepted any more

	mu      sync.Mutex
	taker   *Taker
	changed chan struct{} // closed when taker is replaced
	running bool
	closed  bool
}

// NewSocket makes a Socket of l, which accepts once it runs.
func NewSocket(l net.Listener) *Socket {
	return &Socket{Listener: l, ended: make(chan struct{}), changed: make(chan struct{})}
}

// Run accepts until Close, and then returns nil. What is wrong for a while only,
// such as too few file descriptors, is told to failing, and accepting goes on.
func (s *Socket) Run(failing func(error)) error {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	defer close(s.ended)
	for {
		c, err := s.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			s.deliver(c)
		case s.isClosed():
			return nil
		case errors.As(err, &temporary) && temporary.Temporary():
			failing(err)
			time.Sleep(20 * time.Millisecond)
		default:
			return err
		}
	}
}

// deliver hands c to who takes connections now, or waits for the next to do so.
func (s *Socket) deliver(c net.Conn) {
	for {
		s.mu.Lock()
		taker, changed, closed := s.taker, s.changed, s.closed
		s.mu.Unlock()
		if taker != nil {
			select {
			case taker.conns <- c:
				return
			case <-changed:
				continue
			case <-taker.closed:
			}
		}
		if closed {
			_ = c.Close()
			return
		}
		<-changed
	}
}

// Give lets t take the connections from now on; who took them before gets no more.
func (s *Socket) Give(t *Taker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taker = t
	s.wake()
}

// wake lets a delivery that waits look again. The caller holds mu.
func (s *Socket) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Socket) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close stops accepting. What was accepted before is delivered when it returns.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.wake()
	running := s.running
	s.mu.Unlock()
	err := s.Listener.Close()
	if running {
		<-s.ended
	}
	return err
}

// NewTaker returns who may be given the connections of s.
func (s *Socket) NewTaker() *Taker {
	return &Taker{socket: s, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Taker is a listener that accepts what a [Socket] gives it.
type Taker struct {
	socket *Socket
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements [net.Listener].
func (t *Taker) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close ends accepting; the socket stays open.
func (t *Taker) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// Addr implements [net.Listener].
func (t *Taker) Addr() net.Addr { return t.socket.Addr() }
