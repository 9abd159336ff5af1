package keys

import "errors"

var (
	// ErrBusy says that another process works on the same key file just now.
	ErrBusy = errors.New("another zproxy works on this key file just now; try again when it is done")
	// ErrInUse says that a key is not removed because the key file holds it.
	ErrInUse = errors.New("the key is in use; rotate first, and remove it then")
)
