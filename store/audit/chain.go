package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// digest is the hash of r after prev (the zero Row before the first): SHA-256 over
// every field but Hash and Mark, and over prev's two, each with its length before
// it, so that no two rows have the same encoding.
func (r Row) digest(prev Row) []byte {
	sum := sha256.Sum256(fields("latchkey audit v1", r.Chain, strconv.FormatInt(r.Seq, 10),
		strconv.FormatInt(Micros(r.Time), 10), string(r.Event), string(r.Owner[:]), r.Client, r.Tool, r.Provider,
		r.Rule, r.Arguments, r.Reason, string(r.Of), string(prev.Hash), string(prev.Mark)))
	return sum[:]
}

// markData is what a checkpoint authenticates: by its hash, r and all before it.
func (r Row) markData() []byte { return fields("latchkey audit checkpoint v1", string(r.Hash)) }

// headData is what the head of a chain that ends with r authenticates.
func (r Row) headData() []byte {
	return fields("latchkey audit head v1", r.Chain, strconv.FormatInt(r.Seq, 10), string(r.Hash), string(r.Mark))
}

// extend is the rows that entries make at the end of a chain, the last of them a
// checkpoint, and where the chain ends then.
func extend(seal tink.AEAD, from Head, last Row, entries []Entry) (to Head, rows []Row, err error) {
	for _, e := range entries {
		row := Row{Chain: from.Chain, Seq: last.Seq + 1, Entry: e}
		row.Hash = row.digest(last)
		rows, last = append(rows, row), row
	}
	if last.Mark, err = seal.Encrypt(nil, last.markData()); err != nil {
		return Head{}, nil, err
	}
	rows[len(rows)-1] = last
	to = Head{Chain: from.Chain, Seq: last.Seq, Hash: last.Hash}
	to.Mark, err = seal.Encrypt(nil, last.headData())
	return to, rows, err
}

// ErrNotYet is for a seal's Decrypt that can't tell at the moment: it knows that there
// are newer keys, and can't have them.
var ErrNotYet = errors.New("the keys that it was made with can't be had yet")

// Micros is t as it is kept and hashed: microseconds since 1970, 0 for the zero
// time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fields joins parts, each with its length before it.
func fields(parts ...string) []byte {
	b := make([]byte, 0, 512)
	for _, part := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}
