package keys

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lease is the right to work on a key file. The system ends it with the process,
// however that ends.
type lease struct{ file *os.File }

// take gets the lease of a key file, for which it keeps an empty file beside it,
// or returns [ErrBusy].
func take(path string) (*lease, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, private)
	if err != nil {
		return nil, fmt.Errorf("taking the lease of key file %s: %w; its directory must be writable", path, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &lease{f}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(ErrBusy, f.Close())
	}
	return nil, errors.Join(fmt.Errorf("taking the lease of key file %s: %w", path, err), f.Close())
}

func (l *lease) release() error { return l.file.Close() }
