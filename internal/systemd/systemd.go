// Package systemd takes sockets from systemd and tells it how zproxy is
// (sd_listen_fds(3), sd_notify(3)). Without systemd it does nothing.
package systemd

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Sockets are the listening sockets that systemd passed on, by the names of
// their units (FileDescriptorName=). Each may be taken once.
type Sockets struct{ byName map[string]net.Listener }

// Inherit takes the sockets out of the environment, so that no child process
// takes them too. Names that no listener of the configuration has are an error,
// and so are two sockets of one name.
func Inherit(listeners []string) (*Sockets, error) {
	if os.Getenv("LISTEN_FDS") == "" {
		return &Sockets{}, nil
	}
	passed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking sockets from systemd: %w", err)
	}
	s := &Sockets{byName: make(map[string]net.Listener, len(passed))}
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		switch sockets := passed[name]; {
		case !slices.Contains(listeners, name):
			return nil, fmt.Errorf("taking sockets from systemd: no listener is called %q; set FileDescriptorName= of the socket unit to one of %s", name, strings.Join(listeners, ", "))
		case len(sockets) != 1 || sockets[0] == nil:
			return nil, fmt.Errorf("taking sockets from systemd: %q must be one listening stream socket; give each ListenStream= a unit of its own", name)
		default:
			s.byName[name] = sockets[0]
		}
	}
	return s, nil
}

// Take is the socket of the listener name, and false if systemd passed none.
func (s *Sockets) Take(name string) (net.Listener, bool) {
	if s == nil {
		return nil, false
	}
	l, ok := s.byName[name]
	delete(s.byName, name)
	return l, ok
}

// Ready tells that requests are served, with one line on how things are.
func Ready(status string) { notify(daemon.SdNotifyReady, "STATUS="+status) }

// Reloading tells that files are read again; [Ready] ends it.
func Reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	notify(daemon.SdNotifyReloading, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping tells that zproxy drains.
func Stopping() { notify(daemon.SdNotifyStopping) }

// notify sends to NOTIFY_SOCKET, if there is one. systemd does not answer, and
// who does not run under it has nobody to tell.
func notify(lines ...string) {
	_, _ = daemon.SdNotify(false, strings.Join(lines, "\n"))
}

// Watchdog tells twice within WatchdogSec= that zproxy is alive, while healthy
// says so, until ctx ends. Without WatchdogSec= it waits for that.
func Watchdog(ctx context.Context, healthy func() bool) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("reading systemd's watchdog interval: %w", err)
	}
	if interval == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if healthy() {
				notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
