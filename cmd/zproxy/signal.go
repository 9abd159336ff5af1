package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. A
// second one ends the program at once, as if nobody had listened, however soon it
// comes.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
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
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
