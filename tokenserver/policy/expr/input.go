package expr

import (
	"net/netip"
	"time"

	"github.com/google/cel-go/interpreter"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// Facts are what an expression can know.
type Facts struct {
	Caller                                        caller.Caller
	ResourceType, ResourceNamespace, ResourceName string
	Audience                                      string
	SourceIP                                      netip.Addr
	ClientID                                      string
	Time                                          time.Time
	Claims                                        map[string]any
}

// Input is what expressions read. Make one per request: its values are shared by all that are evaluated with it.
type Input struct {
	// Action is the action that is asked about. It may be changed between evaluations, not during one.
	Action string

	variables map[string]any
}

// NewInput returns the variables with the facts as values. What is not known is empty, except the time: an expression
// that asks for a time that is not known fails.
func NewInput(f Facts) *Input {
	namespace, serviceAccount := f.Caller.ServiceAccount()
	groups, extra, claims, ip := f.Caller.Groups, f.Caller.Extra, f.Claims, ""
	if groups == nil {
		groups = []string{}
	}
	if extra == nil {
		extra = map[string][]string{}
	}
	if claims == nil {
		claims = map[string]any{}
	}
	if f.SourceIP.IsValid() {
		ip = f.SourceIP.Unmap().String()
	}
	request := map[string]any{"ip": ip, "clientID": f.ClientID, "claims": claims}
	if !f.Time.IsZero() {
		request["time"] = f.Time
	}
	return &Input{variables: map[string]any{
		varSubject: map[string]any{
			"username":       f.Caller.Username,
			"uid":            f.Caller.UID,
			"groups":         groups,
			"namespace":      namespace,
			"serviceAccount": serviceAccount,
			"extra":          extra,
			"provider":       f.Caller.Provider,
			"method":         string(f.Caller.Method),
		},
		varResource: map[string]any{
			"type":      f.ResourceType,
			"namespace": f.ResourceNamespace,
			"name":      f.ResourceName,
		},
		varAudience: f.Audience,
		varRequest:  request,
	}}
}

// ResolveName implements cel-go's Activation.
func (in *Input) ResolveName(name string) (any, bool) {
	if name == varAction {
		return in.Action, true
	}
	value, found := in.variables[name]
	return value, found
}

// Parent implements cel-go's Activation.
func (in *Input) Parent() interpreter.Activation { return nil }
