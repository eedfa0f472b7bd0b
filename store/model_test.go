package store

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// This file checks the protocol of lease and version exhaustively: three processes
// with the steps of Keyring.renew, each of which may be interleaved with any other
// and be the last before a crash; an owner who disconnects and connects again
// meanwhile; and a provider that ends the family at the second use of a refresh
// token, whose answers may get lost. The lease itself is the real one, on a clock
// that is part of the state. Whether a token has expired isn't: a process may renew
// at any time, as it does ahead of expiry, at expiry and after a 401.

// A step is where a process stands.
type step uint8

const (
	readGrant  step = iota // not under way
	readLease              // has the grant
	takeLease              // has seen the lease as free, or none
	readAgain              // holds the lease
	askIt                  // holds it, and the grant is still that version
	sendIt                 // has time enough, and the request is on its way
	keepIt                 // has the answer, in memory only
	dropIt                 // has written it
	orphanIt               // has the answer to a token whose grant is gone
	failIt                 // has no answer
	checkFence             // was refused
	breakIt                // was refused, and holds the lease still
	doneStep               // released a token
	deadStep               // crashed
)

// A runner is one process. Its fields are what it has in memory.
type runner struct {
	at      step
	version int8
	token   int8 // refresh token that it read, or was given
	seen    int8 // fence that it read; 0: there was no lease
	fence   int8 // fence that it wrote
	until   int8 // end of the lease that it wrote
	asked   int8 // when it asked
	answer  int8 // refresh token of the answer
	unsure  bool // the provider may have answered what got lost
}

// A model is everything: the database, the provider, the clock, the processes.
type model struct {
	version, token int8 // the grant: its row
	gone           bool // there is no row
	broken         bool
	told           bool                  // the reason why it is broken names a lost answer
	robbed         bool                  // it was broken while the lease's holder had a new token
	leases         [lastAgain + 1]record // by the version that they are on

	family     int8    // 1 once the owner has connected again
	families   [2]gift // what the provider knows of each
	revocation int8    // refresh token of a pending revocation; 0: none

	now     int8
	crashes int8
	trouble int8 // requests that the provider didn't answer, and leases put down
	procs   [3]runner
}

// A record is a lease in the database.
type record struct {
	fence, until int8 // fence 0: there is none; until 0: nobody holds it
	unsure       bool
}

// A gift is one family of refresh tokens: they count up from 1, or from 11.
type gift struct {
	current int8 // the unspent one
	ended   bool // by a second use
	revoked bool
	lost    bool // an answer got lost, with a process or on its way
}

func (g gift) dead() bool { return g.ended || g.revoked }

func (m *model) familyOf(token int8) *gift { return &m.families[token/10] }

// A protocol is the real one, or one with a guard taken out.
type protocol struct {
	noLease, noSecondRead, noSwap, noFence, noUnsure, noOrphan bool

	earlyTakeover bool // of a lease that somebody holds
	shortLease    bool // it doesn't last for the provider's time to answer
	sameVersions  bool // they start anew after a disconnect
}

const (
	leaseTicks = 3 // the life of a lease, in ticks of the model's clock
	needsTicks = 2 // in fewer than these, a request and what follows are over
	lastGrant  = 3 // versions beyond it aren't explored,
	firstAgain = 5 // nor, after a disconnect and a new connection, those beyond
	lastAgain  = 6
)

// Bounds are what is explored.
type Bounds struct {
	Crashes, Trouble, Ticks int8
	Stalls                  bool // a machine may stand still for any time
}

// real is the lease as the type that decides.
func (r record) real() lease {
	l := lease{Unsure: r.unsure}
	if r.until > 0 {
		l.Until = moment(r.until)
	}
	return l
}

func moment(tick int8) time.Time { return time.Unix(int64(tick)+1, 0) }

// full reports whether no later version is explored.
func (m model) full() bool { return m.version == lastGrant || m.version >= lastAgain }

// next is what may follow m by one step of process i.
func (p protocol) next(out []model, m model, i int, b Bounds) []model {
	r := &m.procs[i]
	l := &m.leases[r.version]
	switch r.at {
	case readGrant:
		if m.broken || m.gone || m.full() {
			return out
		}
		*r = runner{at: readLease, version: m.version, token: m.token}
		if p.noLease {
			r.at = askIt
		}
	case readLease:
		r.seen, r.at = l.fence, takeLease
		if l.real().free("", moment(m.now)) != nil && !p.earlyTakeover {
			*r = runner{} // wait, and look again
		}
	case takeLease:
		if l.fence != r.seen {
			*r = runner{} // somebody was faster
			break
		}
		unsure := l.real().taken(moment(m.now)).Unsure && !p.noUnsure
		*l = record{l.fence + 1, m.now + leaseTicks, unsure}
		r.fence, r.until, r.at = l.fence, l.until, readAgain
	case readAgain:
		r.at = askIt
		if (m.gone || m.version != r.version) && !p.noSecondRead {
			*l, *r = record{}, runner{}
		}
	case askIt:
		return p.ask(out, m, i, b)
	case sendIt:
		return p.send(out, m, i, b)
	case keepIt:
		p.keep(&m, r)
	case dropIt:
		*l, *r = record{}, runner{at: doneStep}
	case orphanIt:
		m.revocation = r.answer
		*r = runner{}
	case failIt:
		if l.fence == r.fence {
			*l = record{l.fence + 1, 0, (l.unsure || r.unsure) && !p.noUnsure}
		}
		*r = runner{}
	case checkFence:
		r.at = breakIt
		if l.fence != r.fence && !p.noLease && !p.noFence {
			*r = runner{}
		}
	case breakIt:
		if !m.gone && m.version == r.version {
			m.robbed = slices.ContainsFunc(m.procs[:], func(o runner) bool {
				return o.at == keepIt && o.version == r.version && o.fence == l.fence && o.fence != r.fence
			})
			m.version, m.broken, m.told = m.version+1, true, l.unsure
			*l = record{}
		}
		*r = runner{}
	default:
		return out
	}
	return append(out, m)
}

// ask is what Keyring.renewUnder does right before the request.
func (p protocol) ask(out []model, m model, i int, b Bounds) []model {
	r := &m.procs[i]
	r.asked = m.now
	if r.until < m.now+needsTicks && !p.noLease && !p.shortLease {
		r.at = failIt // holding.enough says no, and it puts the lease down
		return append(out, m)
	}
	r.at = sendIt
	out = append(out, m)
	if m.trouble < b.Trouble { // the audit record can't be written
		r.at = failIt
		m.trouble++
		out = append(out, m)
	}
	return out
}

// send is all that may come of the request.
func (p protocol) send(out []model, m model, i int, b Bounds) []model {
	after := m // where the provider doesn't answer
	after.trouble++
	after.procs[i].at, after.procs[i].unsure = failIt, true
	if m.trouble < b.Trouble {
		out = append(out, after)
	}
	r := &m.procs[i]
	f := m.familyOf(r.token)
	if f.dead() || f.current != r.token {
		f.ended = !f.revoked // the second use of a token, or a use after that
		r.at = checkFence
		return append(out, m)
	}
	f.current++
	r.answer, r.at = f.current, keepIt
	out = append(out, m)
	if m.trouble < b.Trouble { // its answer gets lost on the way
		lost := after.familyOf(r.token)
		lost.current, lost.lost = f.current, true
		out = append(out, after)
	}
	return out
}

// keep is Keyring.keep.
func (p protocol) keep(m *model, r *runner) {
	late := m.gone || m.version != r.version
	if late && !m.gone && m.broken && m.token == r.token { // refusedAfter
		late, m.broken, m.told = false, false, false
	}
	switch {
	case !late || p.noSwap:
		m.version, m.token, m.gone, r.at = m.version+1, r.answer, false, dropIt
	case m.gone && !p.noOrphan:
		r.at = orphanIt
	default:
		*r = runner{}
	}
}

// owner is what the grant's owner may do: connect again at any time, once, and
// disconnect before that; and what a pending revocation comes to.
func (p protocol) owner(out []model, m model) []model {
	if m.family == 0 && !m.gone && m.version < lastGrant {
		again := m
		again.family, again.families[1].current = 1, 11
		again.version, again.token, again.broken, again.told = m.version+1, 11, false, false
		gone := m
		gone.gone, gone.broken, gone.told, gone.revocation = true, false, false, m.token
		out = append(out, again, gone)
	}
	if m.family == 0 && m.gone {
		again := m
		again.family, again.families[1].current = 1, 11
		again.version, again.token, again.gone = firstAgain, 11, false
		if p.sameVersions {
			again.version = 1
		}
		out = append(out, again)
	}
	if m.revocation != 0 {
		done := m
		f := done.familyOf(m.revocation)
		f.revoked = f.revoked || f.current == m.revocation // a spent token says nothing to the provider
		done.revocation = 0
		out = append(out, done)
	}
	return out
}

// crash is m without process i.
func (m model) crash(i int, b Bounds) (model, bool) {
	r := m.procs[i]
	if r.at == deadStep || r.at == doneStep || m.crashes == b.Crashes {
		return m, false
	}
	if r.at == keepIt || r.at == orphanIt {
		m.familyOf(r.token).lost = true
	}
	m.procs[i] = runner{at: deadStep}
	m.crashes++
	return m, true
}

// tick moves the clock. Who has asked is done before needsTicks have passed, unless
// a machine may stand still; what comes before it may take any time.
func (m model) tick(b Bounds) (model, bool) {
	if m.now >= b.Ticks {
		return m, false
	}
	for _, r := range m.procs {
		if r.at >= sendIt && r.at <= breakIt && !b.Stalls && m.now+1 >= r.asked+needsTicks {
			return m, false
		}
	}
	m.now++
	return m, true
}

// stuck reports whether somebody still waits, where nothing can happen any more.
func (m model) stuck() bool {
	waits := func(r runner) bool { return r.at != doneStep && r.at != deadStep }
	return slices.ContainsFunc(m.procs[:], waits) && !m.broken && !m.gone && !m.full()
}

// wrong is what must never be.
func (m model) wrong(b Bounds) string {
	for _, f := range m.families {
		if f.ended && !f.lost && !b.Stalls {
			return "a refresh token was used twice, and no answer was lost"
		}
	}
	if m.robbed {
		return "a refusal counted from one who no longer had the lease, while its holder had a new token"
	}
	if m.gone || m.family == 0 && m.revocation != 0 {
		return m.wrongWhenGone()
	}
	now := m.familyOf(m.token)
	held := now.lost // a token that was lost, or is in memory still, explains a spent one
	for _, r := range m.procs {
		held = held || r.at == keepIt && r.token == m.token
	}
	switch {
	case m.token/10 != m.family:
		return "an answer to an old token overwrote a new connection"
	case m.broken && !now.dead():
		return "a living grant was broken"
	case m.broken && !m.told && !b.Stalls:
		return "a grant is broken by a lost answer, and the reason doesn't say so"
	case !m.broken && !now.dead() && m.token != now.current && !held:
		return "the grant holds a spent token, and nobody lost the new one"
	}
	return ""
}

// wrongWhenGone is what must never be after a disconnect.
func (m model) wrongWhenGone() string {
	if !m.gone {
		return "a renewal brought back what was disconnected"
	}
	f := m.families[0]
	underway := slices.ContainsFunc(m.procs[:], func(r runner) bool { return r.at >= askIt && r.at <= orphanIt })
	if !f.dead() && !f.lost && m.revocation == 0 && !underway {
		return "a disconnected grant's token lives, and nobody will revoke it"
	}
	return ""
}

// sorted is m with its processes in an order: they are all alike.
func (m model) sorted() model {
	p := &m.procs
	for _, pair := range [][2]int{{0, 1}, {1, 2}, {0, 1}} {
		if a, b := &p[pair[0]], &p[pair[1]]; b.number() < a.number() {
			*a, *b = *b, *a
		}
	}
	return m
}

// number is r as one number; none of its fields is beyond 15.
func (r runner) number() (n uint64) {
	for _, field := range [...]int8{int8(r.at), r.version, r.token, r.seen, r.fence, r.until, r.asked, r.answer} {
		n = n<<4 | uint64(field)
	}
	n <<= 1
	if r.unsure {
		n++
	}
	return n
}

// following is out and all that may come after m.
func (p protocol) following(out []model, m model, b Bounds) []model {
	out = p.owner(out, m)
	for i := range m.procs {
		out = p.next(out, m, i, b)
		if crashed, can := m.crash(i, b); can {
			out = append(out, crashed)
		}
	}
	if later, can := m.tick(b); can {
		out = append(out, later)
	}
	return out
}

// explore visits every state and returns how many there are, and the first fault.
func (p protocol) explore(b Bounds) (states int, fault string) {
	start := model{version: 1, token: 1}
	start.families[0].current = 1
	seen := map[model]struct{}{start: {}}
	told := time.Now()
	var following []model
	for todo := []model{start}; len(todo) > 0; {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if fault := m.wrong(b); fault != "" {
			return len(seen), fmt.Sprintf("%s: %+v", fault, m)
		}
		following = p.following(following[:0], m, b)
		if len(following) == 0 && m.stuck() {
			return len(seen), fmt.Sprintf("a caller waits for ever: %+v", m)
		}
		for _, f := range following {
			f = f.sorted()
			if _, known := seen[f]; !known {
				seen[f] = struct{}{}
				todo = append(todo, f)
			}
		}
		if len(seen)%4096 == 0 && time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d states seen, %d to visit\n", len(seen), len(todo))
		}
	}
	return len(seen), ""
}

// ProveModel explores the real protocol, and then without one guard at a time, where
// something must go wrong.
func ProveModel(t *testing.T, b Bounds) (states int) {
	t.Helper()
	states, fault := protocol{}.explore(b)
	if fault != "" {
		t.Fatal(fault)
	}
	guards := map[string]protocol{
		"compare-and-swap":                       {noSwap: true},
		"new versions after a disconnect":        {sameVersions: true},
		"revoking the answer to a removed grant": {noOrphan: true},
	}
	if b.Stalls {
		guards["a look at the fence before a refusal counts"] = protocol{noFence: true}
	} else {
		guards["the lease"] = protocol{noLease: true}
		guards["a second read under the lease"] = protocol{noSecondRead: true}
		guards["waiting for a lease's end"] = protocol{earlyTakeover: true}
		guards["a lease that lasts for the provider's answer"] = protocol{shortLease: true}
		guards["a word on answers that may be lost"] = protocol{noUnsure: true}
	}
	for name, without := range guards {
		if _, fault := without.explore(b); fault == "" {
			t.Errorf("without %s nothing goes wrong: the model can't see it", name)
		} else {
			t.Logf("without %s: %.120s", name, fault)
		}
	}
	return states
}
