package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Options say where records go. Exactly one of File and Writer is set.
type Options struct {
	// File is a path, or "-" for standard output. A new file has mode 0600; an
	// existing one is appended to and keeps its mode.
	File string
	// Writer takes each line in one Write call. It is never closed.
	Writer io.Writer
	// Clock gives the time of records that have none. If nil, time.Now.
	Clock func() time.Time
}

// Log writes audit records. Nothing is buffered: when Write returns, the line
// is with the operating system. It is safe for concurrent use; lines are in the
// order of their seq.
type Log struct {
	clock func() time.Time

	mu     sync.Mutex
	sink   *sink // nil: closed
	seq    uint64
	line   line
	logger zerolog.Logger

	failed atomic.Pointer[error] // of the last write; nil: it succeeded
}

// Open opens the log. The first record has seq 1.
func Open(o Options) (*Log, error) {
	if (o.File == "") == (o.Writer == nil) {
		return nil, errors.New("opening audit log: exactly one of file and writer must be given")
	}
	l := &Log{clock: o.Clock}
	if l.clock == nil {
		l.clock = time.Now
	}
	l.logger = zerolog.New(&l.line)
	var err error
	if l.sink, err = openSink(o); err != nil {
		return nil, err
	}
	return l, nil
}

// Write writes r as one line. Outcome fields of an intent record are left out.
// An error means that the record is not in the log and says what to do; it
// wraps the cause. What was written of a failed line never spoils the next one.
func (l *Log) Write(r *Record) error {
	if r.Kind != Intent && r.Kind != Outcome {
		return fmt.Errorf("writing audit record %q: its kind is %q, it must be intent or outcome", r.ID, r.Kind)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink == nil {
		return fmt.Errorf("writing audit record: the log is closed: %w", os.ErrClosed)
	}
	at := r.Time
	if at.IsZero() {
		at = l.clock()
	}
	l.seq++ // of a failed write, too: the gap shows the loss
	l.line.text = l.sink.begin(l.line.text[:0])
	begun := len(l.line.text)
	l.line.render(&l.logger, r, l.seq, at)
	if len(l.line.text) == begun {
		return l.fail(errors.New("writing audit record: zerolog is disabled by its global level; nothing may set that"))
	}
	if err := l.sink.write(l.line.text); err != nil {
		return l.fail(err)
	}
	if l.failed.Load() != nil {
		l.failed.Store(nil)
	}
	return nil
}

func (l *Log) fail(err error) error {
	l.failed.Store(&err)
	return err
}

// Err returns the error of the last Write, and nil as soon as one succeeds.
// Before the first it is nil. It does not wait for a Write under way.
func (l *Log) Err() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Healthy reports whether the last Write succeeded. While it is false, the
// requests that need evidence are to be refused.
func (l *Log) Healthy() bool { return l.failed.Load() == nil }

// Reopen opens the file by its name again, after it was renamed by log
// rotation. If that fails, the old file stays in use and the error says why.
// Without a file it does nothing.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink == nil {
		return fmt.Errorf("reopening audit log: the log is closed: %w", os.ErrClosed)
	}
	if !l.sink.named {
		return nil
	}
	fresh, err := openSink(Options{File: l.sink.name})
	if err != nil {
		return fmt.Errorf("reopening audit log, the old file stays in use: %w", err)
	}
	old := l.sink
	l.sink = fresh
	if err := old.close(); err != nil {
		return fmt.Errorf("closing the rotated audit log: %w", err)
	}
	return nil
}

// Close closes the file. Further writes fail.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink == nil {
		return nil
	}
	err := l.sink.close()
	l.sink = nil
	if err != nil {
		return fmt.Errorf("closing audit log: %w", err)
	}
	return nil
}
