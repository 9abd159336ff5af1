package acme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that another process holds is tried.
const lockPoll = 250 * time.Millisecond

// store is certmagic's file storage with locks of the kernel (flock(2)).
// certmagic's own lock files outlive a killed process, which delays the next
// start, and each has a goroutine that outlives the lock by seconds.
type store struct {
	*certmagic.FileStorage
	mu   sync.Mutex // guards held
	held map[string]*os.File
}

func newStore(path string) *store {
	return &store{FileStorage: &certmagic.FileStorage{Path: path}, held: make(map[string]*os.File)}
}

// Lock implements [certmagic.Locker].
func (s *store) Lock(ctx context.Context, name string) error {
	for {
		if ok, err := s.TryLock(ctx, name); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// TryLock implements [certmagic.TryLocker]. Files are never removed: who would
// lock a removed one, and who its successor, would both hold the lock.
func (s *store) TryLock(_ context.Context, name string) (bool, error) {
	path := filepath.Join(s.Path, "locks", certmagic.StorageKeys.Safe(name)+".flock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, fmt.Errorf("locking %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", name, err)
	}
	if err := flock(f); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		return false, fmt.Errorf("locking %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[name] = f
	return true, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Unlock implements [certmagic.Locker].
func (s *store) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.held[name]
	if !ok {
		return fmt.Errorf("unlocking %s: it is not locked", name)
	}
	delete(s.held, name)
	return f.Close()
}
