// Package confine keeps the process to the files that its configuration names,
// with Landlock (https://docs.kernel.org/userspace-api/landlock.html).
package confine

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Files are what the process may still open. Files that are replaced get
// another inode, so for each file it is the directory that counts.
type Files struct {
	// Read are files that may be read, and all else in their directories with them.
	Read []string
	// Write are files that may be made, written and removed, and all else in
	// their directories with them.
	Write []string
	// WriteDirs are directories below which anything may be done but running programs.
	WriteDirs []string
}

// system is what a Go program needs to reach others: names, certificate
// authorities, time zones, and what the kernel says of the process.
func system() []string {
	return []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/localtime",
		"/dev/null", "/dev/urandom", "/dev/random",
	}
}

func systemDirs() []string {
	return []string{
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/zoneinfo",
		"/run/systemd/resolve", "/proc/self", "/proc/sys", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage",
	}
}

// Apply confines the process, all of its threads and all that it starts, for
// good. What it says is for the log: how far the kernel goes along. An error
// leaves the process as it was; a kernel without Landlock is none.
func Apply(f Files) (string, error) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return "confinement is off: this kernel has no Landlock", nil
	}
	rules := []landlock.Rule{
		landlock.RODirs(directories(f.Read)...),
		landlock.RODirs(systemDirs()...).IgnoreIfMissing(),
		landlock.ROFiles(system()...).IgnoreIfMissing(),
		landlock.RWFiles("/dev/null").IgnoreIfMissing(),
		// Sockets appear under their names by a link from a directory beside them.
		landlock.RWDirs(directories(f.Write)...).WithRefer(),
		landlock.RWDirs(f.WriteDirs...).WithRefer(),
	}
	// Later versions limit connecting to unix sockets, which these need: the SPIFFE
	// agent's, systemd's, and those of name services.
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return "", fmt.Errorf("confining the process to its files: %w; set confine: false to run without", err)
	}
	return fmt.Sprintf("confinement is on: only files that the configuration names can be opened (Landlock ABI %d)", abi), nil
}

// directories are those that hold files, and those that links lead to.
func directories(files []string) []string {
	var all []string
	for _, f := range files {
		if f == "" {
			continue
		}
		all = append(all, filepath.Dir(f))
		if real, err := filepath.EvalSymlinks(f); err == nil {
			all = append(all, filepath.Dir(real))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
