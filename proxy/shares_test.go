package proxy

import "testing"

func TestNoCallerTakesMoreThanHalf(t *testing.T) {
	m := shares{most: 100}
	if !m.take("a", 50) || m.take("a", 1) {
		t.Error("a caller takes more than half, or not half")
	}
	if !m.take("b", 40) || m.take("c", 11) || !m.take("c", 10) {
		t.Error("the sum is not kept")
	}
	m.give("a", 50)
	m.give("b", 40)
	m.give("c", 10)
	if m.held != 0 || len(m.of) != 0 {
		t.Errorf("%d bytes and %d callers are left", m.held, len(m.of))
	}
}
