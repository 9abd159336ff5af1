package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// maxFile bounds what is read of a key file or a journal, in bytes.
const maxFile = 1 << 20

// private is the mode of files with keys that are new.
const private fs.FileMode = 0o600

// readKey reads a key file. It is nil without an error when there is none.
func readKey(path string) (*serviceuser.KeyFile, error) {
	content, err := read(path)
	if content == nil || err != nil {
		return nil, err
	}
	key, err := serviceuser.ParseKeyFile(content)
	if err != nil {
		return nil, fmt.Errorf("reading key file %q: %w", path, err)
	}
	return key, nil
}

// read returns nil without an error when there is no such file.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading key: %w", err)
	case len(content) > maxFile:
		return nil, fmt.Errorf("reading key: %s is larger than %d KiB", path, maxFile>>10)
	case content == nil:
		content = []byte{}
	}
	return content, nil
}

// write makes path hold content, for good once it returns: whoever reads it,
// and whatever stops the machine, finds the old content or the new one. A file
// that is replaced keeps its mode and owner.
func write(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	beside := path + ".new" // of which one is left at most, whatever happens
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return err
	}
	if err := errors.Join(like(f, path), put(f, content)); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	if err := os.Rename(beside, path); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return syncDir(path)
}

// like gives f the mode and the owner of the file at path, if there is one. To
// be read by others than before could lock them out, or let them in.
func like(f *os.File, path string) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	is, err := f.Stat()
	if err != nil {
		return err
	}
	if now, same := is.Sys().(*syscall.Stat_t); ok && same && (now.Uid != was.Uid || now.Gid != was.Gid) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("keeping its owner: %w; run as the owner of the file", err)
		}
	}
	return f.Chmod(old.Mode().Perm())
}

// put writes and closes f.
func put(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// remove takes a file away for good; one that is gone already is no error.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return syncDir(path)
}

// syncDir makes what happened to the names in a directory last.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// real is where a key file is when its name is a link: what is replaced is the
// file, not the link to it.
func real(path string) string {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		return at
	}
	return path
}
