// Package keys makes, registers, replaces and removes the keys of service users.
//
// A key pair is made on this machine, and only its public half is ever sent. The
// private half is on disk, in a journal beside the key file, before ZITADEL hears
// of the public one, so that no step can leave behind a key that nobody knows:
// ZITADEL's lists show neither a key nor its thumbprint, but they show when a
// key ends, and each key made here ends at a moment of its own.
//
// A key replaces another in this order, and whatever stops in between goes on
// at the next [Keeper.Step]:
//
//	prepared    pair, expiry and the keys that are there already are in the journal
//	registered  ZITADEL has the public half, and its answer names the key
//	noted       the key's id is in the journal
//	proved      ZITADEL issued a token for an assertion of the new key
//	swapped     the key file holds the new key
//	retired     the journal says from when on the old key is to be removed
//	removed     the old key is gone from ZITADEL
//	            the journal is gone
//
// The key in the file is never one that ZITADEL has not issued a token for, and
// the old one is removed last, by a token of the new one. Keys that were not
// made or replaced here are never removed.
package keys
