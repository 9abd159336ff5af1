package audit

import (
	"fmt"
	"os"
)

// Successor is where a log will go on once it is switched to. It is open, and
// nothing is written to it yet.
type Successor struct{ sink *sink }

// Prepare opens what the log is to go on in: a path, or "-" for standard output.
// A path is opened even if the log writes to a file of this name: log rotation
// may have put another one there. The log stays as it is.
func (l *Log) Prepare(file string) (*Successor, error) {
	s, err := openSink(Options{File: file})
	if err != nil {
		return nil, err
	}
	return &Successor{s}, nil
}

// Discard closes a successor that is not used.
func (s *Successor) Discard() error { return s.sink.close() }

// Switch goes on in s. No record is lost or written twice, and seq goes on. The
// error says that the old file could not be closed; the log is in the new one.
func (l *Log) Switch(s *Successor) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink == nil {
		_ = s.Discard()
		return fmt.Errorf("switching audit log: the log is closed: %w", os.ErrClosed)
	}
	old := s.sink
	if !l.sink.same(s.sink) { // it knows best whether its last line is whole
		old, l.sink = l.sink, s.sink
	}
	if err := old.close(); err != nil {
		return fmt.Errorf("closing the former audit log: %w", err)
	}
	return nil
}

// same tells whether both write to one file.
func (s *sink) same(o *sink) bool {
	if s.file == nil || o.file == nil {
		return false
	}
	mine, err := s.file.Stat()
	if err != nil {
		return false
	}
	other, err := o.file.Stat()
	return err == nil && os.SameFile(mine, other)
}
