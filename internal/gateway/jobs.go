package gateway

import (
	"context"
	"errors"
	"sync"
)

// jobs are the goroutines of a running gateway.
type jobs struct {
	ctx     context.Context // of all
	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan struct{} // closed once one has failed

	mu   sync.Mutex
	errs []error
}

func newJobs(ctx context.Context) *jobs {
	ctx, cancel := context.WithCancel(ctx)
	return &jobs{ctx: ctx, cancel: cancel, failed: make(chan struct{})}
}

// start runs f until it returns. Stop ends its context and waits for it.
func (j *jobs) start(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(j.ctx)
	done := make(chan struct{})
	j.running.Go(func() {
		defer close(done)
		defer cancel()
		if err := f(ctx); err != nil {
			j.fail(err)
		}
	})
	return func() { cancel(); <-done }
}

func (j *jobs) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.errs) == 0 {
		close(j.failed)
	}
	j.errs = append(j.errs, err)
}

// end ends all jobs, waits for them and returns what they failed with.
func (j *jobs) end() error {
	j.cancel()
	j.running.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.errs...)
}
