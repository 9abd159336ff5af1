package conformance_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// The suite starts this test program again in one of two roles; the reference
// program that it stands before is in the environment.
const (
	roleVariable      = "ZPROXY_CONFORMANCE_ROLE"
	referenceVariable = "ZPROXY_CONFORMANCE_REFERENCE"
	roleServer        = "server"
	roleClient        = "client"
)

// play is a role's whole program.
func play(role string) error {
	f, err := newFronts()
	if err != nil {
		return err
	}
	defer f.close()
	reference := exec.Command(os.Getenv(referenceVariable))
	reference.Stderr = os.Stderr
	to, err := reference.StdinPipe()
	if err != nil {
		return err
	}
	from, err := reference.StdoutPipe()
	if err != nil {
		return err
	}
	if err := reference.Start(); err != nil {
		return err
	}
	if role == roleServer {
		err = f.playServer(to, from)
	} else {
		err = f.playClient(to, from)
	}
	to.Close()
	if role == roleServer {
		_ = reference.Process.Kill() // it serves until then
		_ = reference.Wait()
		return err
	}
	return errors.Join(err, reference.Wait())
}

// playServer is the server under test: a reference server with zproxy before it.
func (f *fronts) playServer(to io.Writer, from io.Reader) error {
	request, err := readFrame(os.Stdin)
	if err != nil {
		return err
	}
	if err := writeFrame(to, request); err != nil {
		return err
	}
	answer, err := readFrame(from)
	if err != nil {
		return fmt.Errorf("starting reference server: %w", err)
	}
	_, host, port, err := moveTo(answer, serverHost, serverPort, "127.0.0.1", 1)
	if err != nil {
		return err
	}
	front, err := f.before(host, port)
	if err != nil {
		return err
	}
	if answer, _, _, err = moveTo(answer, serverHost, serverPort, "127.0.0.1", front); err != nil {
		return err
	}
	if err := writeFrame(os.Stdout, answer); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM) // how the suite ends a server
	<-stop
	return nil
}

// playClient is the client under test: a reference client whose servers all
// have a zproxy before them.
func (f *fronts) playClient(to io.WriteCloser, from io.Reader) error {
	answered := make(chan error, 1)
	go func() { _, err := io.Copy(os.Stdout, from); answered <- err }()
	for {
		request, err := readFrame(os.Stdin)
		if errors.Is(err, io.EOF) {
			to.Close()
			return <-answered
		}
		if err != nil {
			return err
		}
		_, host, port, err := moveTo(request, clientHost, clientPort, "127.0.0.1", 1)
		if err != nil {
			return err
		}
		front, err := f.before(host, port)
		if err != nil {
			return err
		}
		if request, _, _, err = moveTo(request, clientHost, clientPort, "127.0.0.1", front); err != nil {
			return err
		}
		if err := writeFrame(to, request); err != nil {
			return err
		}
	}
}
