package gateway

import (
	"fmt"
	"os"
	"syscall"
)

// appearance is what tells a file from others of the same name, through links:
// one that is written, replaced or reached by another link looks otherwise.
func appearance(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return err.Error()
	}
	inode := uint64(0)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = s.Ino
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), inode)
}
