package gateway

import (
	"context"
	"time"
)

// reviewEvery is how often streams are judged again.
const reviewEvery = time.Second

// review ends streams whose callers lost their rule, by a reload or by its end.
func (g *Gateway) review(ctx context.Context) error {
	ticker := time.NewTicker(reviewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.current.Load().proxy.Review()
		}
	}
}
