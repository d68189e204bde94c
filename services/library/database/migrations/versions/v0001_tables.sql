-- The tables are explained in tables.py; a test holds that both agree.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE collection (
    collection_id INTEGER GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL,
    retention_days INTEGER,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT collection_pkey PRIMARY KEY (collection_id),
    CONSTRAINT collection_name_key UNIQUE (name)
);

CREATE TABLE category (
    category_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    revision INTEGER DEFAULT '1' NOT NULL,
    applied BOOLEAN DEFAULT 'true' NOT NULL,
    applied_id UUID,
    retention_days INTEGER,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT category_pkey PRIMARY KEY (category_id),
    CONSTRAINT category_collection_id_folded_name_key UNIQUE (collection_id, folded_name),
    CONSTRAINT category_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE TABLE deleted_category (
    category_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    CONSTRAINT deleted_category_pkey PRIMARY KEY (category_id),
    CONSTRAINT deleted_category_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE TABLE event (
    event_key BIGINT GENERATED ALWAYS AS IDENTITY,
    position BIGINT,
    collection_id INTEGER NOT NULL,
    picture_id UUID,
    type TEXT NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    data JSONB DEFAULT '{}' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (event_key),
    CONSTRAINT event_position_key UNIQUE (position),
    CONSTRAINT event_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX event_collection_idx ON event (collection_id, position);

CREATE INDEX event_new_idx ON event (event_key) WHERE position IS NULL;

CREATE INDEX event_picture_id_idx ON event (picture_id);

CREATE TABLE export (
    export_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    query BYTEA DEFAULT '' NOT NULL,
    picture_count BIGINT DEFAULT '0' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT export_pkey PRIMARY KEY (export_id),
    CONSTRAINT export_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX export_collection_idx ON export (collection_id, create_time);

CREATE TABLE picture (
    picture_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    state SMALLINT NOT NULL,
    sha256 BYTEA,
    pixel_sha256 BYTEA,
    redirect_id UUID,
    format TEXT DEFAULT '' NOT NULL,
    width INTEGER DEFAULT '0' NOT NULL,
    height INTEGER DEFAULT '0' NOT NULL,
    size_bytes BIGINT DEFAULT '0' NOT NULL,
    stored BOOLEAN DEFAULT 'false' NOT NULL,
    thumbnail BOOLEAN DEFAULT 'false' NOT NULL,
    file_name TEXT DEFAULT '' NOT NULL,
    folded_name TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    taken_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    taken_time_source SMALLINT NOT NULL,
    exif_time TEXT DEFAULT '' NOT NULL,
    object_time TIMESTAMP WITH TIME ZONE,
    delete_time TIMESTAMP WITH TIME ZONE,
    expire_time TIMESTAMP WITH TIME ZONE,
    cost_micro_usd BIGINT DEFAULT '0' NOT NULL,
    score REAL,
    terms TSVECTOR DEFAULT '' NOT NULL,
    words TSVECTOR DEFAULT '' NOT NULL,
    CONSTRAINT picture_pkey PRIMARY KEY (picture_id),
    CONSTRAINT picture_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT picture_redirect_id_fkey FOREIGN KEY(redirect_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE INDEX picture_added_idx ON picture (collection_id, create_time, picture_id) WHERE delete_time IS NULL AND redirect_id IS NULL;

CREATE UNIQUE INDEX picture_content_key ON picture (collection_id, sha256) WHERE sha256 IS NOT NULL AND redirect_id IS NULL;

CREATE INDEX picture_expire_idx ON picture (expire_time) WHERE expire_time IS NOT NULL;

CREATE INDEX picture_name_idx ON picture (collection_id, left(folded_name, 256) text_pattern_ops) WHERE delete_time IS NULL AND redirect_id IS NULL;

CREATE INDEX picture_pixels_idx ON picture (collection_id, pixel_sha256) WHERE pixel_sha256 IS NOT NULL;

CREATE INDEX picture_redirect_id_idx ON picture (redirect_id);

CREATE INDEX picture_search_idx ON picture USING gin (terms, words) WITH (fastupdate = off) WHERE delete_time IS NULL AND redirect_id IS NULL;

CREATE INDEX picture_state_idx ON picture (collection_id, state, taken_time, picture_id) WHERE delete_time IS NULL AND redirect_id IS NULL;

CREATE INDEX picture_taken_idx ON picture (collection_id, taken_time, picture_id) WHERE delete_time IS NULL AND redirect_id IS NULL;

CREATE INDEX picture_trash_idx ON picture (collection_id, delete_time) WHERE delete_time IS NOT NULL;

CREATE TABLE receipt (
    receipt_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    picture_id UUID NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    complete BOOLEAN DEFAULT 'false' NOT NULL,
    brief BOOLEAN DEFAULT 'false' NOT NULL,
    files TEXT[] DEFAULT '{}' NOT NULL,
    content BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT receipt_pkey PRIMARY KEY (receipt_id),
    CONSTRAINT receipt_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX receipt_open_idx ON receipt (create_time) WHERE NOT (complete AND brief);

CREATE INDEX receipt_picture_id_idx ON receipt (picture_id);

CREATE TABLE request (
    collection_id INTEGER NOT NULL,
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    response BYTEA,
    picture_id UUID,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (collection_id, caller, request_id),
    CONSTRAINT request_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX request_age_idx ON request (create_time);

CREATE INDEX request_picture_id_idx ON request (picture_id);

CREATE TABLE tombstone (
    collection_id INTEGER NOT NULL,
    digest BYTEA NOT NULL,
    kind SMALLINT NOT NULL,
    sequencer TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT tombstone_pkey PRIMARY KEY (collection_id, digest),
    CONSTRAINT tombstone_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE TABLE tombstone_key (
    key BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT tombstone_key_pkey PRIMARY KEY (key)
);

INSERT INTO tombstone_key (key)
VALUES (decode(replace(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex'));

CREATE TABLE answer (
    answer_id UUID NOT NULL,
    picture_id UUID NOT NULL,
    recognizer TEXT NOT NULL,
    model TEXT DEFAULT '' NOT NULL,
    version TEXT DEFAULT '' NOT NULL,
    source SMALLINT NOT NULL,
    outcome SMALLINT NOT NULL,
    cost_micro_usd BIGINT DEFAULT '0' NOT NULL,
    result BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT answer_pkey PRIMARY KEY (answer_id),
    CONSTRAINT answer_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE INDEX answer_picture_idx ON answer (picture_id, create_time);

CREATE TABLE category_rule (
    category_id UUID NOT NULL,
    position SMALLINT NOT NULL,
    kind SMALLINT NOT NULL,
    value TEXT NOT NULL,
    folded_value TEXT NOT NULL,
    min_score REAL DEFAULT '0' NOT NULL,
    CONSTRAINT category_rule_pkey PRIMARY KEY (category_id, position),
    CONSTRAINT category_rule_category_id_fkey FOREIGN KEY(category_id) REFERENCES category (category_id) ON DELETE CASCADE
);

CREATE TABLE face (
    face_id UUID NOT NULL,
    picture_id UUID NOT NULL,
    position SMALLINT NOT NULL,
    current BOOLEAN DEFAULT 'true' NOT NULL,
    state SMALLINT NOT NULL,
    person_id TEXT DEFAULT '' NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    score REAL DEFAULT '0' NOT NULL,
    verdict BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT face_pkey PRIMARY KEY (face_id),
    CONSTRAINT face_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE INDEX face_picture_idx ON face (picture_id, position);

CREATE TABLE job (
    job_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    picture_id UUID NOT NULL,
    state SMALLINT NOT NULL,
    features SMALLINT[] DEFAULT '{}' NOT NULL,
    recognizers TEXT[] DEFAULT '{}' NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    daily_micro_usd BIGINT,
    attempts INTEGER DEFAULT '0' NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    calling BOOLEAN DEFAULT 'false' NOT NULL,
    repeated_calls INTEGER DEFAULT '0' NOT NULL,
    lease_token UUID,
    lease_time TIMESTAMP WITH TIME ZONE,
    status BYTEA DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    next_attempt_time TIMESTAMP WITH TIME ZONE,
    end_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT job_pkey PRIMARY KEY (job_id),
    CONSTRAINT job_lease_check CHECK ((state = 2) = (lease_token IS NOT NULL)),
    CONSTRAINT job_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT job_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE INDEX job_collection_idx ON job (collection_id, state, job_id);

CREATE INDEX job_due_idx ON job (next_attempt_time) WHERE state = 1;

CREATE INDEX job_lease_idx ON job (lease_time) WHERE state = 2;

CREATE INDEX job_open_idx ON job (create_time) WHERE state IN (1, 2);

CREATE INDEX job_dead_idx ON job (end_time) WHERE state = 4;

CREATE UNIQUE INDEX job_open_key ON job (picture_id) WHERE state IN (1, 2);

CREATE INDEX job_picture_idx ON job (picture_id, create_time);

CREATE TABLE label (
    picture_id UUID NOT NULL,
    moderation BOOLEAN DEFAULT 'false' NOT NULL,
    position SMALLINT NOT NULL,
    name TEXT NOT NULL,
    score REAL NOT NULL,
    content BYTEA NOT NULL,
    CONSTRAINT label_pkey PRIMARY KEY (picture_id, moderation, position),
    CONSTRAINT label_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE TABLE picture_category (
    picture_id UUID NOT NULL,
    category_id UUID NOT NULL,
    source SMALLINT NOT NULL,
    present BOOLEAN DEFAULT 'true' NOT NULL,
    CONSTRAINT picture_category_pkey PRIMARY KEY (picture_id, category_id),
    CONSTRAINT picture_category_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE,
    CONSTRAINT picture_category_category_id_fkey FOREIGN KEY(category_id) REFERENCES category (category_id) ON DELETE CASCADE
);

CREATE INDEX picture_category_category_id_idx ON picture_category (category_id);

CREATE TABLE place (
    place_id UUID NOT NULL,
    picture_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    kind SMALLINT NOT NULL,
    bucket TEXT DEFAULT '' NOT NULL,
    key TEXT NOT NULL,
    version_id TEXT DEFAULT '' NOT NULL,
    location BYTEA NOT NULL,
    sequencer TEXT DEFAULT '' NOT NULL,
    current BOOLEAN DEFAULT 'true' NOT NULL,
    object_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT place_pkey PRIMARY KEY (place_id),
    CONSTRAINT place_picture_id_location_version_id_key UNIQUE (picture_id, location, version_id),
    CONSTRAINT place_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE,
    CONSTRAINT place_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX place_location_idx ON place (collection_id, location);

CREATE INDEX place_prefix_idx ON place (collection_id, kind, bucket, left(key, 256) text_pattern_ops);

CREATE TABLE text (
    picture_id UUID NOT NULL,
    position SMALLINT NOT NULL,
    content TEXT NOT NULL,
    score REAL NOT NULL,
    found BYTEA NOT NULL,
    CONSTRAINT text_pkey PRIMARY KEY (picture_id, position),
    CONSTRAINT text_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER answer_stays BEFORE UPDATE ON answer FOR EACH ROW EXECUTE FUNCTION refuse_change();
