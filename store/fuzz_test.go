package store_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
)

// edited is b with a byte flipped, the end cut off and something added.
func edited(b []byte, at uint16, flip byte, cut uint16, tail []byte) []byte {
	b = bytes.Clone(b)
	if flip != 0 && len(b) > 0 {
		b[int(at)%len(b)] ^= flip
	}
	return append(b[:len(b)-int(cut)%(len(b)+1)], tail...)
}

// A row opens as it was written, for whom it was written, and not otherwise.
func FuzzSealedRow(f *testing.F) {
	w := newWorld(f)
	places := w.places()
	f.Add(byte(1), byte(1), "", "", int64(0), int64(0), uint16(0), byte(0), uint16(0), []byte{})
	f.Add(byte(1), byte(0), "", "", int64(0), int64(1), uint16(0), byte(0), uint16(0), []byte{})
	f.Add(byte(2), byte(3), "google", "", int64(1), int64(1), uint16(5), byte(1), uint16(0), []byte{})
	f.Add(byte(4), byte(4), "", "x", int64(-1), int64(0), uint16(0), byte(0), uint16(60000), []byte{1, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Add(byte(4), byte(4), "", "", int64(0), int64(0), uint16(3), byte(4), uint16(0), []byte{0})
	f.Add(byte(1), byte(0), "", "", int64(-1), int64(0), uint16(88), byte(0), uint16(0), []byte{})
	f.Fuzz(func(t *testing.T, whose, from byte, provider, account string, version, mark int64, at uint16, flip byte, cut uint16, tail []byte) {
		to, source := places[int(whose)%len(places)], places[int(from)%len(places)]
		row := to.row
		row.Provider += provider
		row.Account += account
		row.Version += version
		row.Mark = row.Version + mark
		row.Sealed = edited(source.row.Sealed, at, flip, cut, tail)
		label, err := to.keyring.Opens(row)
		// An older version is itself too, where its mark went back with it (SECURITY.md).
		itself := mark == 0 && slices.ContainsFunc(places, func(p place) bool {
			return p.row.Owner == row.Owner && p.row.Provider == row.Provider && p.row.Account == row.Account &&
				p.row.Version == row.Version && bytes.Equal(p.row.Sealed, row.Sealed)
		})
		if (err == nil) != itself || err != nil && label != "" {
			t.Errorf("opens as %q (%v), and is itself: %t", label, err, itself)
		}
	})
}

// A record opens with every column as it was written, and not otherwise.
func FuzzSealedRecord(f *testing.F) {
	w := newWorld(f)
	tables := map[string]store.Table[string]{}
	for _, kind := range []string{"code", "ticket"} {
		tables[kind] = store.NewTable[string](w.vault, kind)
		for _, person := range []string{"alice", "bob"} {
			ok(f, tables[kind].Put(f.Context(), person, owner(w, person), time.Hour, person+"'s "+kind))
		}
	}
	list, err := w.db.Sealed().Records(f.Context(), store.Record{}, 9)
	ok(f, err)
	for i := range byte(4) {
		f.Add(i, i, i, i, int64(0), int64(0), uint16(0), byte(0), uint16(0), []byte{})
		f.Add(i, i, i+1, i, int64(0), int64(0), uint16(0), byte(0), uint16(0), []byte{})
		f.Add(i, i, i, i+1, int64(1), int64(0), uint16(0), byte(0), uint16(0), []byte{})
		f.Add(i, i+1, i, i, int64(0), int64(1), uint16(6), byte(1), uint16(1), []byte{0})
	}
	f.Fuzz(func(t *testing.T, data, kind, key, owner byte, expires, version int64, at uint16, flip byte, cut uint16, tail []byte) {
		was := list[int(data)%len(list)]
		r := was
		r.Kind, r.Key, r.Owner = list[int(kind)%len(list)].Kind, list[int(key)%len(list)].Key, list[int(owner)%len(list)].Owner
		r.Expires, r.Version = time.UnixMicro(was.Expires.UnixMicro()+expires), was.Version+version
		r.Data = edited(was.Data, at, flip, cut, tail)
		value, err := tables[r.Kind].OpenRecord(r)
		if itself := cmp.Equal(r, was); (err == nil) != itself || err != nil && value != "" {
			t.Errorf("opens as %q (%v), and is itself: %t", value, err, itself)
		}
	})
}
