package audit_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/zproxy/zproxy/internal/audit"
)

// While many write, the log goes on in one file after another: every record is
// in one of them, and seq has no gap.
func TestNoRecordIsLostWhenTheFileChanges(t *testing.T) {
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")}
	l, err := audit.Open(audit.Options{File: files[0]})
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	const each = 300
	for range 4 {
		writing.Go(func() {
			for range each {
				if err := l.Write(&audit.Record{Kind: audit.Outcome, ID: "x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 60 {
		next, err := l.Prepare(files[i%3])
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Switch(next); err != nil {
			t.Fatal(err)
		}
	}
	writing.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool)
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := audit.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		for _, r := range all {
			if seen[r.Seq] {
				t.Errorf("%d is there twice", r.Seq)
			}
			seen[r.Seq] = true
		}
	}
	if len(seen) != 4*each {
		t.Errorf("%d records, want %d", len(seen), 4*each)
	}
}

// The file that is open knows whether its last line is whole; one opened anew
// beside it would not.
func TestSwitchingToTheSameFileKeepsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	l, err := audit.Open(audit.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next, err := l.Prepare(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Switch(next); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(&audit.Record{Kind: audit.Outcome, ID: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	unused, err := l.Prepare(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := unused.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(&audit.Record{Kind: audit.Outcome, ID: "x"}); err != nil {
		t.Errorf("after a successor was discarded: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	late, err := audit.Open(audit.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	next, err := late.Prepare(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = late.Close()
	if err := late.Switch(next); err == nil {
		t.Error("a closed log goes on")
	}
	if _, err := late.Prepare(filepath.Join(file, "below")); err == nil {
		t.Error("a file is a directory")
	}
}
