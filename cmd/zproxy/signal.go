package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. A
// second one ends the program at once, as if nobody had listened, however soon it
// comes, and even if who started the program had it ignored, as shells do with SIGINT
// of what runs in the background.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	ignored := signal.Ignored(syscall.SIGINT) // before that it is listened to
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	next := func() (os.Signal, bool) {
		select {
		case s := <-signals:
			return s, true
		case <-done:
			return nil, false
		}
	}
	go func() {
		if _, ok := next(); !ok {
			return
		}
		cancel()
		if s, ok := next(); ok {
			end(s.(syscall.Signal), ignored)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

func end(s syscall.Signal, ignored bool) {
	if ignored && s == syscall.SIGINT {
		os.Exit(128 + int(s)) // as shells show it
	}
	signal.Reset(s)
	_ = syscall.Kill(os.Getpid(), s)
}
