package clientcert_test

import (
	"sync"
	"testing"

	"github.com/zproxy/zproxy/authn/clientcert"
)

// Each judgement is by the files of one moment: good, or revoked, and nothing between.
func TestReloadsUnderWay(t *testing.T) {
	w := newWorld(t)
	caller := w.inter.newLeaf(t)
	good, bad := w.listsOf(), w.listsOf(caller)
	v := w.start(spiffe, certPEM(w.root), good)
	config := v.ServerConfig(serverBase(t))
	client := clientConfig(caller, versions["TLS 1.3"], nil)
	state, err := shake(t, config, client)
	check(t, err)
	judge := func(err error) (revoked bool) {
		if err == nil {
			return false
		}
		if refused, ok := clientcert.Refusal(err); !ok || refused.Reason != clientcert.ReasonRevoked {
			t.Errorf("%v", err)
		}
		return true
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					judge(v.Check(state))
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			_, err := shake(t, config, client)
			judge(err)
		}
	})
	for i := range 20 {
		lists := [][]byte{bad, good}[i%2]
		w.write(w.crl, lists)
		changed, err := v.Reload()
		if check(t, err); !changed {
			t.Error("nothing changed")
		}
		if judge(v.Check(state)) != (i%2 == 0) {
			t.Errorf("reload %d took no effect", i)
		}
	}
	close(done)
	all.Wait()
}
