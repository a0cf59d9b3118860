package observe

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// watches are the resources that are watched, as paths name them.
func (o Options) watches() sets.Set[string] {
	resources := sets.New("accesspolicies", "clusteraccesspolicies", "namespaces", "signingkeys", "identityproviders", "secrets")
	if o.Records != nil {
		resources.Insert("issuedtokens", "tokenrevocations")
	}
	if o.UMA {
		resources.Insert("protectedresources", "permissionrequests")
	}
	return resources
}

const (
	// probe is the length of a watch that is to show soon that it works: API servers send a bookmark two seconds before
	// the end of a watch.
	probe = 3 * time.Second
	// shortest is what API servers can be asked for.
	shortest = time.Second
	// longestGrace is for how long past its end a watch is waited for.
	longestGrace = 30 * time.Second
)

// hearing knows when the API server was last heard from about each kind. A watch says nothing while nothing changes, and
// one that says nothing because it hangs looks the same; the bookmarks that API servers send about once a minute, and the
// orderly end of a watch, tell the two apart. What counts as having heard:
//
//   - bytes of a watch, except of the list that a watch can begin with: half of one is none;
//   - the orderly end of a watch: what was sent before has arrived;
//   - the orderly end of a list.
//
// The header of an answer does not count: it promises events and is none.
type hearing struct {
	// limit is the age from which a view may not be signed by; 0: none, and requests stay as they are.
	limit time.Duration
	// heard is not changed once it is made.
	heard map[string]*atomic.Pointer[time.Time]
}

func newHearing(limit time.Duration, resources sets.Set[string]) *hearing {
	h := &hearing{limit: limit, heard: map[string]*atomic.Pointer[time.Time]{}}
	for resource := range resources {
		h.heard[resource] = &atomic.Pointer[time.Time]{}
	}
	return h
}

// oldest returns the kind that was not heard from for longest, and when it was; the zero time if it never was.
func (h *hearing) oldest() (oldest time.Time, kind string) {
	for _, resource := range slices.Sorted(maps.Keys(h.heard)) {
		at := h.last(resource)
		if kind == "" || at.Before(oldest) {
			oldest, kind = at, resource
		}
	}
	return oldest, kind
}

func (h *hearing) last(resource string) time.Time {
	if at := h.heard[resource].Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func (h *hearing) note(resource string) {
	now := time.Now()
	h.heard[resource].Store(&now)
}

// overdue says whether a kind was not heard from for so long that the view is not fresh.
func (h *hearing) overdue(last, now time.Time) bool {
	return h.limit > 0 && (last.IsZero() || snapshot.Elapsed(last, now) > h.limit/2)
}

// length is how long a watch may be, so that the end of one and the next lie within the limit. A kind that is overdue
// gets a short one, which proves itself at once.
func (h *hearing) length(resource string, asked time.Duration) time.Duration {
	length := max(h.limit/3, shortest)
	if h.overdue(h.last(resource), time.Now()) {
		length = min(length, probe)
	}
	if asked > 0 {
		length = min(length, asked)
	}
	return length.Truncate(time.Second)
}

// listener is a transport that notes what is heard, and keeps watches short enough for the limit.
type listener struct {
	next    http.RoundTripper
	hearing *hearing
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(request *http.Request) (*http.Response, error) {
	resource := path.Base(request.URL.Path)
	if _, watched := l.hearing.heard[resource]; !watched || request.Method != http.MethodGet {
		return l.next.RoundTrip(request)
	}
	query := request.URL.Query()
	b := &body{hearing: l.hearing, resource: resource}
	switch watches, _ := strconv.ParseBool(query.Get("watch")); {
	case !watches:
		b.listing = true
	case query.Get("sendInitialEvents") == "true":
		b.initial = true
	}
	if !b.listing && l.hearing.limit > 0 {
		request = l.bound(request, b)
	}
	answer, err := l.next.RoundTrip(request)
	if err != nil {
		b.end()
		return nil, err
	}
	b.ReadCloser, b.refused = answer.Body, answer.StatusCode != http.StatusOK
	answer.Body = b
	b.begin()
	return answer, nil
}

// bound asks for a watch of the right length, and cuts it when it is past its end and silent. One that begins with a list
// is not asked to be short, because the list may take its time; it is cut once it is silent for as long, and the watch
// that follows it has no list.
func (l *listener) bound(request *http.Request, b *body) *http.Request {
	query := request.URL.Query()
	asked, _ := strconv.ParseInt(query.Get("timeoutSeconds"), 10, 32)
	length := l.hearing.length(b.resource, time.Duration(asked)*time.Second)
	request, b.cancel = cancellable(request)
	if b.initial {
		b.patience = max(length, shortest)
		return request
	}
	b.patience = length + min(l.hearing.limit/3, longestGrace)
	query.Set("timeoutSeconds", strconv.FormatInt(int64(length/time.Second), 10))
	address := *request.URL
	address.RawQuery = query.Encode()
	request.URL = &address
	return request
}
