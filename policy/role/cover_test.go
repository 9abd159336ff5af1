package role

import (
	"slices"
	"testing"
)

// TestRolesTogetherAreWeighedByAllThatTheyDo: weighed by the first alone, a
// small role would hide an owner behind it.
func TestRolesTogetherAreWeighedByAllThatTheyDo(t *testing.T) {
	small := Role{"A_SMALL", Organization, []string{"x.read", "x.write"}}
	owner := Role{"OWNER", Organization, []string{"x.read", "x.write", "y.delete", "y.write", "z.write"}}
	reader := Role{"READER", Organization, []string{"w.read", "x.read", "y.read"}}
	if got := union([]Role{small, owner, reader}); !slices.Equal(got, []string{"w.read", "x.read", "x.write", "y.delete", "y.read", "y.write", "z.write"}) {
		t.Errorf("together they do %v", got)
	}
	if got := changes([]Role{small, owner}); got != 4 {
		t.Errorf("together they change %d", got)
	}
	ascending := [][]Role{{reader}, {small}, {reader, small}, {owner}, {owner, small}, {owner, reader}}
	for i := range ascending {
		for j := range ascending {
			if got := lessTogether(ascending[i], ascending[j]); got < 0 != (i < j) || got == 0 != (i == j) {
				t.Errorf("%v and %v compare as %d", names(ascending[i]), names(ascending[j]), got)
			}
		}
	}
}

func TestASetWithARoleToSpareIsNotTheLeast(t *testing.T) {
	for _, c := range []struct {
		set           uint32
		each          []uint32
		covers, spare bool
	}{
		{0b01, []uint32{0b01, 0b11}, true, false},
		{0b11, []uint32{0b01, 0b10}, true, false},
		{0b11, []uint32{0b01, 0b11}, true, true},
		{0b11, []uint32{0b10, 0b11}, true, true},
		{0b111, []uint32{0b001, 0b110}, true, true},
		{0b01, []uint32{0b01, 0b10}, false, false},
	} {
		if got := covers(c.set, c.each); got != c.covers {
			t.Errorf("%b covers %b: %t", c.set, c.each, got)
		}
		if got := spare(c.set, c.each); got != c.spare {
			t.Errorf("%b has one to spare for %b: %t", c.set, c.each, got)
		}
	}
}
