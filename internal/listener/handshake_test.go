package listener_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/listener"
)

// Handshakes that are begun and not ended hold up nobody at another address,
// however many they are, and leave nothing behind.
func TestHandshakesThatDoNotEndHoldUpNobodyElse(t *testing.T) {
	own := makeCertificate(t, 1, nil)
	pair, err := tls.X509KeyPair([]byte(own.cert), []byte(own.key))
	check(t, err)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l := listener.TLS(socket, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil)
	t.Cleanup(func() { _ = l.Close() })
	for range 600 {
		c, err := net.Dial("tcp", socket.Addr().String())
		check(t, err)
		t.Cleanup(func() { _ = c.Close() })
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 20 * time.Second},
		Config:    &tls.Config{InsecureSkipVerify: true},
	}
	begin := time.Now()
	for range 3 {
		c, err := dialer.Dial("tcp", socket.Addr().String())
		check(t, err)
		served, err := l.Accept()
		check(t, err)
		_ = c.Close()
		_ = served.Close()
	}
	if took := time.Since(begin); took > 8*time.Second { // those before take ten
		t.Errorf("three handshakes took %s", took)
	}
}
