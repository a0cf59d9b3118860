package chart

// Series as Prometheus has them: the labels namespace and pod come from the ServiceMonitor's target.
const (
	here = `namespace="tokenwright-system"`
	key  = `{` + here + `,pod="tokenwright-manager-1",signing_key="registry"}`
	one  = `{` + here + `,pod="tokenwright-server-1"}`

	leads       = `leader_election_master_status{` + here + `,name="tokenwright-manager",pod="tokenwright-manager-1"}`
	waits       = `leader_election_master_status{` + here + `,name="tokenwright-manager",pod="tokenwright-manager-2"}`
	lateness    = `tokenwright_key_rotation_lateness_seconds` + key
	signUntil   = `tokenwright_key_sign_until_timestamp_seconds` + key
	rotated     = `tokenwright_key_last_rotation_timestamp_seconds` + key
	pending     = `tokenwright_keys{` + here + `,pod="tokenwright-manager-1",signing_key="registry",state="Pending"}`
	caUntil     = `tokenwright_certificate_authority_expiry_timestamp_seconds` + key
	unusable    = `tokenwright_server_signing_keys{` + here + `,pod="tokenwright-server-1",usable="false"}`
	usable      = `tokenwright_server_signing_keys{` + here + `,pod="tokenwright-server-1",usable="true"}`
	keptSets    = `tokenwright_server_kept_key_sets` + one
	viewAge     = `tokenwright_server_view_age_seconds` + one
	fenced      = `tokenwright_server_fenced` + one
	leaseFails  = `tokenwright_server_lease_renewal_failures_total` + one
	auditFails  = `tokenwright_server_audit_failures_total` + one
	tooDear     = `tokenwright_server_policy_expression_failures_total{` + here + `,pod="tokenwright-server-1",reason="cost_limit"}`
	pastBudget  = `tokenwright_server_policy_expression_failures_total{` + here + `,pod="tokenwright-server-2",reason="budget"}`
	limited     = `tokenwright_server_authentications_total{` + here + `,pod="tokenwright-server-1",method="unknown",result="limited"}`
	refused     = `tokenwright_server_authentications_total{` + here + `,pod="tokenwright-server-1",method="unknown",result="refused"}`
	failing     = `tokenwright_server_policy_expression_failures_total{` + here + `,pod="tokenwright-server-1",reason="error"}`
	answers     = `tokenwright_server_requests_total{` + here + `,pod="tokenwright-server-1",endpoint="token",grant="basic",code="200"}`
	refusals    = `tokenwright_server_requests_total{` + here + `,pod="tokenwright-server-1",endpoint="token",grant="none",code="401"}`
	failures    = `tokenwright_server_requests_total{` + here + `,pod="tokenwright-server-1",endpoint="token",grant="none",code="503"}`
	jwksAnswers = `tokenwright_server_requests_total{` + here + `,pod="tokenwright-server-1",endpoint="jwks",grant="none",code="200"}`
	jwksFailing = `tokenwright_server_requests_total{` + here + `,pod="tokenwright-server-1",endpoint="jwks",grant="none",code="503"}`
)

var (
	ofKey    = map[string]string{"signing_key": "registry", "pod": "tokenwright-manager-1"}
	ofServer = map[string]string{"pod": "tokenwright-server-1"}
)

// alertCases begin at the time 0 of promtool, 1970, and go minute by minute.
func alertCases() map[string]alertCase {
	cases := managerAlertCases()
	for name, tc := range keyAlertCases() {
		cases[name] = tc
	}
	for name, tc := range serverAlertCases() {
		cases[name] = tc
	}
	for name, tc := range requestAlertCases() {
		cases[name] = tc
	}
	for name, tc := range loginAlertCases() {
		cases[name] = tc
	}
	for name, tc := range expressionAlertCases() {
		cases[name] = tc
	}
	return cases
}

func managerAlertCases() map[string]alertCase {
	const noManager, summary = "TokenwrightNoManager", "No manager of Tokenwright leads in tokenwright-system"
	return map[string]alertCase{
		"one manager leads and one waits": {
			reason: "that is how it should be", alert: noManager, at: "30m",
			series: map[string]string{leads: "1x40", waits: "0x40"},
		},
		"the lead goes over": {
			reason: "for a minute nobody leads after a crash", alert: noManager, at: "12m",
			series: map[string]string{leads: "1x8 stale", waits: "0x10 1x20"},
		},
		"both wait": {
			reason: "nobody rotates", alert: noManager, at: "10m",
			series: map[string]string{leads: "0x20", waits: "0x20"},
			want:   []fired{{labels: map[string]string{}, summary: summary}},
		},
		"both are gone": {
			reason: "what is not there cannot say that it does not lead", alert: noManager, at: "20m",
			series: map[string]string{leads: "1x10 stale", waits: "0x10 stale"},
			want:   []fired{{labels: map[string]string{"name": "tokenwright-manager"}, summary: summary}},
		},
		"another program leads": {
			reason: "it has the same metric", alert: noManager, at: "20m",
			series: map[string]string{`leader_election_master_status{namespace="tokenwright-system",name="other"}`: "1x30"},
			want:   []fired{{labels: map[string]string{"name": "tokenwright-manager"}, summary: summary}},
		},
	}
}

func keyAlertCases() map[string]alertCase {
	const late, ends, standby, ca = "TokenwrightRotationLate", "TokenwrightSigningKeyEndsSoon",
		"TokenwrightStandbyUnacknowledged", "TokenwrightCertificateAuthorityEndsSoon"
	return map[string]alertCase{
		"a rotation is late by a quarter of an hour": {
			reason: "it does not come by itself", alert: late, at: "16m", series: map[string]string{lateness: "0+60x30"},
			want: []fired{{labels: ofKey, summary: "The rotation of SigningKey registry is late by 16m 0s"}},
		},
		"a rotation is late by some minutes": {
			reason: "the API server may have been away", alert: late, at: "14m", series: map[string]string{lateness: "0+60x30"},
		},
		// Two intervals of an hour, from the activation at 0.
		"a key has a quarter of its time left": {
			reason: "the rotation is late by half an interval", alert: ends, at: "95m",
			series: map[string]string{signUntil: "7200x130", rotated: "0x130"},
			want:   []fired{{labels: ofKey, summary: "The key of SigningKey registry signs for 25m 0s more"}},
		},
		"a key rotates in time": {
			reason: "an hour is left when it retires", alert: ends, at: "95m",
			series: map[string]string{signUntil: "7200x60 10860x60", rotated: "0x60 3660x60"},
		},
		"a key without an end": {
			reason: "mode Never has none", alert: ends, at: "95m", series: map[string]string{rotated: "0x130"},
		},
		"a standby waits for half an hour": {
			reason: "a server does not serve it", alert: standby, at: "40m", series: map[string]string{pending: "1x60"},
			want: []fired{{
				labels:  map[string]string{"signing_key": "registry", "pod": "tokenwright-manager-1", "state": "Pending"},
				summary: "The standby of SigningKey registry is not served by every server",
			}},
		},
		"standbys come and go": {
			reason: "each waits for a moment", alert: standby, at: "50m", series: map[string]string{pending: "1x20 0 1x29"},
		},
		"an authority ends in 89 days": {
			reason: "registries must be restarted before", alert: ca, at: "2h", series: map[string]string{caUntil: "7696800x130"},
			want: []fired{{labels: ofKey, summary: "The certificate authority of SigningKey registry ends in 89d 0h 0m 0s"}},
		},
		"an authority ends in 91 days": {
			reason: "there is time", alert: ca, at: "2h", series: map[string]string{caUntil: "7869600x130"},
		},
	}
}

func serverAlertCases() map[string]alertCase {
	const cannotSign, kept, stale, isFenced, lease = "TokenwrightSigningKeyUnusable", "TokenwrightKeySetKept",
		"TokenwrightServerViewStale", "TokenwrightServerFenced", "TokenwrightLeaseRenewalFails"
	return map[string]alertCase{
		"a Secret is damaged": {
			reason: "keys do not rotate, and a server that starts has none", alert: kept, at: "15m", series: map[string]string{keptSets: "1x20"},
			want: []fired{{labels: map[string]string{}, summary: "Servers in tokenwright-system serve 1 of the SigningKeys from memory"}},
		},
		"a Secret is lost and made anew": {
			reason: "the manager does that by itself", alert: kept, at: "15m", series: map[string]string{keptSets: "1x2 0x20"},
		},
		"two SigningKeys cannot be used": {
			reason: "requests for them fail", alert: cannotSign, at: "15m", series: map[string]string{unusable: "2x20", usable: "1x20"},
			want: []fired{{labels: map[string]string{}, summary: "Servers in tokenwright-system cannot sign with 2 of the SigningKeys"}},
		},
		"every SigningKey can be used": {
			reason: "that is how it should be", alert: cannotSign, at: "15m", series: map[string]string{unusable: "0x20", usable: "3x20"},
		},
		"a SigningKey is new": {
			reason: "its first key signs within a minute", alert: cannotSign, at: "5m", series: map[string]string{unusable: "1x5 0x20"},
		},
		"a server has heard nothing for a quarter of an hour": {
			reason: "it will stop to sign", alert: stale, at: "16m", series: map[string]string{viewAge: "0+60x30"},
			want: []fired{{labels: ofServer, summary: "Server tokenwright-server-1 has not heard from the API server for 16m 0s"}},
		},
		"a server hears something every five minutes": {
			reason: "that is often enough", alert: stale, at: "16m", series: map[string]string{viewAge: "300x30"},
		},
		"a server is fenced": {
			reason: "it signs nothing", alert: isFenced, at: "10m", series: map[string]string{fenced: "0x5 1x20"},
			want: []fired{{labels: ofServer, summary: "Server tokenwright-server-1 has stopped to sign"}},
		},
		"a server starts": {
			reason: "it has no Lease before the first", alert: isFenced, at: "10m", series: map[string]string{fenced: "_x8 1 0x20"},
		},
		"a Lease cannot be renewed for half an hour": {
			reason: "it may be a right that is missing", alert: lease, at: "30m", series: map[string]string{leaseFails: "0+1x40"},
			want: []fired{{labels: ofServer, summary: "Server tokenwright-server-1 fails to renew its Lease"}},
		},
		"a Lease cannot be renewed for two minutes": {
			reason: "the API server may restart", alert: lease, at: "17m", series: map[string]string{leaseFails: "0 0 0 1 2 2x40"},
		},
	}
}

func requestAlertCases() map[string]alertCase {
	const errors, audit = "TokenwrightTokenErrors", "TokenwrightAuditFailures"
	return map[string]alertCase{
		"a tenth of the requests fails": {
			reason: "pulls fail", alert: errors, at: "20m", series: map[string]string{answers: "0+90x30", failures: "0+10x30"},
			want: []fired{{labels: map[string]string{}, summary: "Servers in tokenwright-system answer 10% of the requests for tokens with 5xx"}},
		},
		"one in a hundred fails": {
			reason: "clients try again", alert: errors, at: "20m", series: map[string]string{answers: "0+99x30", failures: "0+1x30"},
		},
		"all fail for some minutes": {
			reason: "the API server may restart", alert: errors, at: "8m", series: map[string]string{answers: "0x30", failures: "0+10x6 60x30"},
		},
		"many are refused": {
			reason: "a wrong password is no fault of the server's", alert: errors, at: "20m",
			series: map[string]string{answers: "0+10x30", refusals: "0+90x30", failures: "0x30"},
		},
		"nobody asks": {
			reason: "nothing divided by nothing is no error", alert: errors, at: "20m", series: map[string]string{answers: "5x30", failures: "0x30"},
		},
		"only the JWKS fails": {
			reason: "it is another endpoint", alert: errors, at: "20m", series: map[string]string{answers: "0+10x30", jwksFailing: "0+90x30"},
		},
		"requests for tokens fail while the JWKS is asked a lot": {
			reason: "those do not make up for these", alert: errors, at: "20m",
			series: map[string]string{answers: "0+1x30", failures: "0+1x30", jwksAnswers: "0+900x30"},
			want:   []fired{{labels: map[string]string{}, summary: "Servers in tokenwright-system answer 50% of the requests for tokens with 5xx"}},
		},
		"an audit record is not written": {
			reason: "a token was not sent", alert: audit, at: "12m", series: map[string]string{auditFails: "0x9 1x20"},
			want: []fired{{labels: ofServer, summary: "Server tokenwright-server-1 cannot write audit records"}},
		},
		"an audit record was not written an hour ago": {
			reason: "it goes again", alert: audit, at: "70m", series: map[string]string{auditFails: "0x9 1x80"},
		},
	}
}

func loginAlertCases() map[string]alertCase {
	const guessing = "TokenwrightLoginsLimited"
	return map[string]alertCase{
		"somebody guesses passwords": {
			reason: "it goes on all the time", alert: guessing, at: "40m", series: map[string]string{limited: "0+30x60", refused: "0+2x60"},
			want: []fired{{labels: map[string]string{}, summary: "Servers in tokenwright-system turn 500m logins away each second"}},
		},
		"a person tries again and again": {
			reason: "nobody has to know", alert: guessing, at: "40m", series: map[string]string{limited: "0+3x60"},
		},
		"somebody guessed for some minutes": {
			reason: "it is over", alert: guessing, at: "40m", series: map[string]string{limited: "0+600x9 5400x60"},
		},
		"many passwords are wrong": {
			reason: "as long as they may be, each was looked at", alert: guessing, at: "40m", series: map[string]string{limited: "0x60", refused: "0+60x60"},
		},
	}
}

func expressionAlertCases() map[string]alertCase {
	const dear = "TokenwrightExpressionsTooDear"
	summary := func(reason string) string { return "Expressions of policies cost more than they may (" + reason + ")" }
	return map[string]alertCase{
		"expressions cost too much for a while": {
			reason: "callers get less than they should", alert: dear, at: "40m",
			series: map[string]string{tooDear: "0+1x60", pastBudget: "0x5 1+1x60"},
			want: []fired{
				{labels: map[string]string{"reason": "cost_limit"}, summary: summary("cost_limit")},
				{labels: map[string]string{"reason": "budget"}, summary: summary("budget")},
			},
		},
		"one expression cost too much once": {
			reason: "it goes again, and the counter says that it was", alert: dear, at: "25m", series: map[string]string{tooDear: "0x9 1x60"},
		},
		"expressions fail": {
			reason: "that is how an Allow is kept from callers without the right facts", alert: dear, at: "40m",
			series: map[string]string{failing: "0+10x60", tooDear: "0x60"},
		},
	}
}
