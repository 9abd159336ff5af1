package serviceuser

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// maxCredentialFile bounds what is read of a credential file.
	maxCredentialFile = 64 << 10
	// settleTime is how old a file's modification must be before its times can
	// be trusted to show the next one: file systems have coarse clocks.
	settleTime = 2 * time.Second
)

// watched is a credential file and what was last seen of it. Looking costs one
// stat; the content is read when that shows a change.
type watched struct {
	path    string
	info    os.FileInfo // before the last reading; nil when it could not be read
	settled bool
	sum     [sha256.Size]byte // of the content in use
	badText string            // the error last reported, "" when all is well
}

// read returns the file's content and remembers what it looked like before, so
// that a change during the reading shows at the next look.
func (w *watched) read() ([]byte, error) {
	w.info, w.settled = nil, false
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, fmt.Errorf("reading credential file: %w", err)
	}
	// Before opening: opening a named pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading credential file %q: it is no regular file", w.path)
	}
	f, err := os.Open(w.path)
	if err != nil {
		return nil, fmt.Errorf("reading credential file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxCredentialFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading credential file: %w", err)
	}
	if len(content) > maxCredentialFile {
		return nil, fmt.Errorf("reading credential file %q: it is larger than %d KiB", w.path, maxCredentialFile>>10)
	}
	w.info = info
	// Modification times come from the system's clock, so the age is taken by
	// it too, whatever clock the source was given.
	w.settled = time.Since(info.ModTime()) > settleTime
	return content, nil
}

// changed reports whether the file may have changed since the last reading.
func (w *watched) changed() bool {
	if w.info == nil || !w.settled {
		return true
	}
	now, err := os.Stat(w.path)
	return err != nil || !os.SameFile(now, w.info) || now.Size() != w.info.Size() || !now.ModTime().Equal(w.info.ModTime())
}
