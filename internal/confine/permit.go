package confine

import (
	"fmt"
	"path/filepath"
	"strings"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Limits are the directories that a confined process can still reach.
type Limits struct{ read, write []string }

// LimitsOf are those that [Apply] sets for f. Links are followed as they lead
// now, so it is to be called when Apply is.
func LimitsOf(f Files) Limits {
	var l Limits
	for _, dir := range append(directories(f.Write), f.WriteDirs...) {
		l.write = append(l.write, real(dir))
	}
	for _, dir := range append(directories(f.Read), systemDirs()...) {
		l.read = append(l.read, real(dir))
	}
	return l
}

// Supported tells whether this kernel can confine a process.
func Supported() bool {
	abi, err := ll.LandlockGetABIVersion()
	return err == nil && abi >= 1
}

// Permit says which file of f is out of reach, nil if none is. Nothing widens
// the limits of a process that runs.
func (l Limits) Permit(f Files) error {
	for _, file := range f.Read {
		if file != "" && !within(file, append(l.read, l.write...)) {
			return beyond(file, "read")
		}
	}
	for _, file := range append(f.Write, f.WriteDirs...) {
		if !within(file, l.write) {
			return beyond(file, "written")
		}
	}
	return nil
}

func beyond(file, what string) error {
	return fmt.Errorf("%s cannot be %s: it is in no directory that the configuration named when the process started, and a process that is confined (Landlock) cannot be given more; restart zproxy, or say confine: false before the next start", file, what)
}

// within tells whether file, through links, is in one of dirs or below.
func within(file string, dirs []string) bool {
	at := real(file)
	for _, dir := range dirs {
		if at == dir || strings.HasPrefix(at, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

// real is path without links. What is not there yet is where its directory is.
func real(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if at, err := filepath.EvalSymlinks(path); err == nil {
		return at
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(real(dir), filepath.Base(path))
	}
	return path
}
