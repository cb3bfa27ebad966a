CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE cache_entries (
	"key" BLOB NOT NULL, 
	size INTEGER NOT NULL, 
	created_s DOUBLE NOT NULL, 
	expires_s DOUBLE, 
	is_kept BOOLEAN NOT NULL, 
	owner BLOB NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE cache_generation (
	one INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	floor BIGINT NOT NULL, 
	PRIMARY KEY (one)
);
CREATE TABLE cache_leases (
	"key" BLOB NOT NULL, 
	holder BLOB NOT NULL, 
	until_s DOUBLE NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
CREATE TABLE cache_marks (
	mark BLOB NOT NULL, 
	epoch BIGINT NOT NULL, 
	PRIMARY KEY (mark)
)
 WITHOUT ROWID

;
CREATE TABLE cache_notes (
	note_id INTEGER NOT NULL, 
	line BLOB NOT NULL, 
	PRIMARY KEY (note_id)
);
CREATE TABLE events (
	run_id TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	at_s DOUBLE NOT NULL, 
	span_id INTEGER NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (run_id, seq)
)
 WITHOUT ROWID

;
CREATE TABLE feedback (
	feedback_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	app TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	user TEXT NOT NULL, 
	block TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	rating INTEGER, 
	comment TEXT NOT NULL, 
	is_cached BOOLEAN NOT NULL, 
	at_s DOUBLE NOT NULL, 
	PRIMARY KEY (feedback_id)
);
CREATE TABLE job_steps (
	job_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	result TEXT NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (job_id, step)
)
 WITHOUT ROWID

;
CREATE TABLE jobs (
	job_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	app TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	speed DOUBLE NOT NULL, 
	tenant TEXT NOT NULL, 
	user TEXT NOT NULL, 
	role TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	"key" TEXT, 
	status TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	created_s DOUBLE NOT NULL, 
	due_s DOUBLE NOT NULL, 
	started_s DOUBLE, 
	ended_s DOUBLE, 
	attempt INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	interruptions INTEGER NOT NULL, 
	worker TEXT NOT NULL, 
	lease_s DOUBLE, 
	error TEXT, 
	PRIMARY KEY (job_id)
);
CREATE TABLE key_spend (
	key_id TEXT NOT NULL, 
	month TEXT NOT NULL, 
	process TEXT NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	PRIMARY KEY (key_id, month, process)
)
 WITHOUT ROWID

;
CREATE TABLE keys (
	key_id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	user TEXT NOT NULL, 
	role TEXT NOT NULL, 
	label TEXT NOT NULL, 
	created_s DOUBLE NOT NULL, 
	revoked_s DOUBLE, models TEXT DEFAULT '[]' NOT NULL, rate_per_min DOUBLE, budget_usd DOUBLE, cache_scope TEXT DEFAULT 'tenant' NOT NULL, 
	PRIMARY KEY (key_id)
);
CREATE TABLE results (
	result_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	app TEXT NOT NULL, 
	name TEXT NOT NULL, 
	at_s DOUBLE NOT NULL, 
	is_held BOOLEAN NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (result_id)
);
CREATE TABLE runs (
	run_id TEXT NOT NULL, 
	app TEXT NOT NULL, 
	graph TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	user TEXT NOT NULL, 
	clock TEXT NOT NULL, 
	speed DOUBLE NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	started_s DOUBLE NOT NULL, 
	ended_s DOUBLE, 
	status TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	outputs TEXT NOT NULL, 
	degraded_by TEXT NOT NULL, 
	error TEXT, 
	llm_calls INTEGER NOT NULL, 
	tool_calls INTEGER NOT NULL, 
	cache_hits INTEGER NOT NULL, 
	tokens_in BIGINT NOT NULL, 
	tokens_out BIGINT NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	first_text_s DOUBLE, reuse TEXT DEFAULT '{}' NOT NULL, worker TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (run_id)
);
CREATE TABLE spans (
	run_id TEXT NOT NULL, 
	span_id INTEGER NOT NULL, 
	parent_id INTEGER, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	start_s DOUBLE NOT NULL, 
	end_s DOUBLE, 
	status TEXT NOT NULL, 
	attributes TEXT NOT NULL, 
	PRIMARY KEY (run_id, span_id)
)
 WITHOUT ROWID

;
CREATE TABLE tickets (
	digest TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	user TEXT NOT NULL, 
	role TEXT NOT NULL, 
	expires_s DOUBLE NOT NULL, 
	PRIMARY KEY (digest)
)
 WITHOUT ROWID

;
CREATE INDEX runs_by_start ON runs (started_s, run_id);
CREATE INDEX runs_by_tenant ON runs (tenant, started_s, run_id);
CREATE INDEX runs_by_user ON runs (tenant, user, started_s, run_id);
CREATE INDEX runs_by_app ON runs (app, started_s, run_id);
CREATE UNIQUE INDEX keys_by_digest ON keys (digest);
CREATE INDEX feedback_by_run ON feedback (run_id);
CREATE INDEX feedback_by_app ON feedback (tenant, app, at_s);
CREATE INDEX results_by_kind ON results (kind, app, name, at_s);
CREATE INDEX cache_entries_by_expiry ON cache_entries (expires_s);
CREATE INDEX cache_entries_by_owner ON cache_entries (owner);
CREATE INDEX cache_marks_by_epoch ON cache_marks (epoch);
CREATE INDEX jobs_by_due ON jobs (status, due_s);
CREATE UNIQUE INDEX jobs_by_run ON jobs (run_id);
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_s, job_id);
CREATE INDEX jobs_by_user ON jobs (tenant, user, created_s, job_id);
CREATE INDEX jobs_by_turn ON jobs (priority DESC, due_s, job_id) WHERE status = 'queued';
CREATE UNIQUE INDEX jobs_by_key ON jobs (tenant, user, "key") WHERE key IS NOT NULL;
CREATE INDEX runs_by_worker ON runs (worker) WHERE status = 'running';
