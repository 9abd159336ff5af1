// Command zproxy-demo shows zproxy at work in front of a stand-in for ZITADEL,
// both in this one process: no account, no network, no configuration.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	once := flag.Bool("once", false, "end after the tour")
	address := flag.String("listen", "127.0.0.1:0", "where the demo's listener accepts connections")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "zproxy-demo: unexpected argument %q\nhint: the demo takes --once and --listen\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *address, *once); err != nil {
		fmt.Fprintf(os.Stderr, "zproxy-demo: %v\n", err)
		os.Exit(1)
	}
}
