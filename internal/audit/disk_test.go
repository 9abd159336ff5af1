package audit_test

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zproxy/zproxy/internal/audit"
)

// A limit on the size of files stops a write in the middle, as a disk does that fills up.
func TestWhatAFailedWriteLeftIsCutOffARegularFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Options{File: file})
	check(t, err)
	defer l.Close()
	r := full()
	check(t, l.Write(&r))
	before, err := os.Stat(file)
	check(t, err)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	check(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(before.Size()) + 100, Max: limit.Max}))
	failed := l.Write(&r)
	check(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	if !errors.Is(failed, syscall.EFBIG) || l.Healthy() {
		t.Fatalf("write beyond the limit: %v", failed)
	}
	after, err := os.Stat(file)
	check(t, err)
	if after.Size() != before.Size() {
		t.Errorf("%d bytes of the failed line are left", after.Size()-before.Size())
	}
	check(t, l.Write(&r))
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	read, err := audit.ReadAll(f)
	check(t, err)
	if len(read) != 2 || read[1].Seq != 3 {
		t.Errorf("read %+v", read)
	}
}

// On descriptor 1 itself the runtime would end the process by SIGPIPE.
func TestClosedStandardOutputIsAnErrorNotTheEnd(t *testing.T) {
	if os.Getenv("AUDIT_TO_STDOUT") != "" {
		l, err := audit.Open(audit.Options{File: "-"})
		check(t, err)
		r := full()
		if err := l.Write(&r); !errors.Is(err, syscall.EPIPE) || l.Healthy() {
			os.Exit(3)
		}
		os.Exit(0)
	}
	in, out, err := os.Pipe()
	check(t, err)
	check(t, in.Close())
	defer out.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestClosedStandardOutputIsAnErrorNotTheEnd$")
	child.Env = append(os.Environ(), "AUDIT_TO_STDOUT=1")
	child.Stdout = out
	if err := child.Run(); err != nil {
		t.Errorf("writing to a closed standard output: %v", err)
	}
}
