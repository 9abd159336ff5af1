package proxy

import "sync"

// shares bounds what all callers hold together of something: memory of bodies
// that are looked into, requests in flight. No caller gets more than half of it.
type shares struct {
	most int64

	mu   sync.Mutex
	held int64
	of   map[string]int64
}

// bound says how much there is. What is held beyond it stays.
func (s *shares) bound(most int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = most
}

func (s *shares) take(caller string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+n > s.most || s.of[caller]+n > (s.most+1)/2 {
		return false
	}
	if s.of == nil {
		s.of = make(map[string]int64)
	}
	s.held += n
	s.of[caller] += n
	return true
}

func (s *shares) give(caller string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= n
	if s.of[caller] -= n; s.of[caller] == 0 {
		delete(s.of, caller)
	}
}

// sum is what all hold.
func (s *shares) sum() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
