-- The tables are explained in people_tables.py; a test holds that both agree.
ALTER TABLE face
    ADD COLUMN source SMALLINT DEFAULT '0' NOT NULL,
    ADD COLUMN drawn BOOLEAN DEFAULT 'false' NOT NULL,
    ADD COLUMN erased BOOLEAN DEFAULT 'false' NOT NULL,
    ADD COLUMN cluster_id UUID,
    ADD COLUMN tried_time TIMESTAMP WITH TIME ZONE;

CREATE INDEX face_cluster_idx ON face (cluster_id) WHERE cluster_id IS NOT NULL;

CREATE INDEX face_new_idx ON face (create_time) WHERE tried_time IS NULL;

CREATE INDEX face_person_idx ON face (person_id) WHERE source <> 0;

CREATE TABLE person (
    person_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    hidden BOOLEAN DEFAULT 'false' NOT NULL,
    cover_face_id UUID,
    source SMALLINT NOT NULL,
    merged_id UUID,
    delete_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT person_pkey PRIMARY KEY (person_id),
    CONSTRAINT person_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT person_merged_id_fkey FOREIGN KEY(merged_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX person_merged_id_idx ON person (merged_id);

CREATE INDEX person_name_idx ON person (collection_id, folded_name, person_id);

CREATE TABLE person_alias (
    person_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    position SMALLINT NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    CONSTRAINT person_alias_pkey PRIMARY KEY (person_id, folded_name),
    CONSTRAINT person_alias_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE,
    CONSTRAINT person_alias_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX person_alias_name_idx ON person_alias (collection_id, folded_name);

CREATE TABLE vector_model (
    model_id SMALLINT GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    metric TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    indexed BOOLEAN DEFAULT 'false' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT vector_model_pkey PRIMARY KEY (model_id),
    CONSTRAINT vector_model_name_version_metric_dimensions_key UNIQUE (name, version, metric, dimensions)
);

CREATE TABLE cluster (
    cluster_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    model_id SMALLINT NOT NULL,
    size INTEGER DEFAULT '0' NOT NULL,
    mean HALFVEC NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT cluster_pkey PRIMARY KEY (cluster_id),
    CONSTRAINT cluster_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT cluster_model_id_fkey FOREIGN KEY(model_id) REFERENCES vector_model (model_id)
);

CREATE INDEX cluster_size_idx ON cluster (collection_id, size, cluster_id);

CREATE TABLE identity (
    collection_id INTEGER NOT NULL,
    recognizer TEXT DEFAULT '' NOT NULL,
    recognizer_collection TEXT DEFAULT '' NOT NULL,
    external_id TEXT NOT NULL,
    person_id UUID NOT NULL,
    CONSTRAINT identity_pkey PRIMARY KEY (collection_id, external_id, recognizer, recognizer_collection),
    CONSTRAINT identity_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT identity_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX identity_person_id_idx ON identity (person_id);

CREATE TABLE opinion (
    face_id UUID NOT NULL,
    source TEXT NOT NULL,
    person_id UUID NOT NULL,
    score REAL NOT NULL,
    band SMALLINT NOT NULL,
    model TEXT DEFAULT '' NOT NULL,
    version TEXT DEFAULT '' NOT NULL,
    CONSTRAINT opinion_pkey PRIMARY KEY (face_id, source, person_id),
    CONSTRAINT opinion_face_id_fkey FOREIGN KEY(face_id) REFERENCES face (face_id) ON DELETE CASCADE,
    CONSTRAINT opinion_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX opinion_person_id_idx ON opinion (person_id);

CREATE INDEX opinion_suggest_idx ON opinion (score) WHERE band = 2;

CREATE TABLE decision (
    face_id UUID NOT NULL,
    kind SMALLINT NOT NULL,
    person_id UUID,
    caller TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT decision_pkey PRIMARY KEY (face_id),
    CONSTRAINT decision_person_check CHECK ((kind = 1) = (person_id IS NOT NULL)),
    CONSTRAINT decision_face_id_fkey FOREIGN KEY(face_id) REFERENCES face (face_id) ON DELETE CASCADE,
    CONSTRAINT decision_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX decision_person_id_idx ON decision (person_id);

CREATE TABLE face_refusal (
    face_id UUID NOT NULL,
    person_id UUID NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT face_refusal_pkey PRIMARY KEY (face_id, person_id),
    CONSTRAINT face_refusal_face_id_fkey FOREIGN KEY(face_id) REFERENCES face (face_id) ON DELETE CASCADE,
    CONSTRAINT face_refusal_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX face_refusal_person_id_idx ON face_refusal (person_id);

CREATE TABLE people_refusal (
    person_id UUID NOT NULL,
    other_id UUID NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT people_refusal_pkey PRIMARY KEY (person_id, other_id),
    CONSTRAINT people_refusal_order_check CHECK (person_id < other_id),
    CONSTRAINT people_refusal_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE,
    CONSTRAINT people_refusal_other_id_fkey FOREIGN KEY(other_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX people_refusal_other_id_idx ON people_refusal (other_id);

CREATE TABLE skip (
    collection_id INTEGER NOT NULL,
    suggestion_id TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT skip_pkey PRIMARY KEY (collection_id, suggestion_id),
    CONSTRAINT skip_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE TABLE used_model (
    collection_id INTEGER NOT NULL,
    model_id SMALLINT NOT NULL,
    assign_distance REAL,
    suggest_distance REAL,
    CONSTRAINT used_model_pkey PRIMARY KEY (collection_id),
    CONSTRAINT used_model_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT used_model_model_id_fkey FOREIGN KEY(model_id) REFERENCES vector_model (model_id)
);

CREATE TABLE face_vector (
    face_id UUID NOT NULL,
    model_id SMALLINT NOT NULL,
    collection_id INTEGER NOT NULL,
    picture_id UUID NOT NULL,
    vector HALFVEC NOT NULL,
    CONSTRAINT face_vector_pkey PRIMARY KEY (face_id, model_id),
    CONSTRAINT face_vector_face_id_fkey FOREIGN KEY(face_id) REFERENCES face (face_id) ON DELETE CASCADE,
    CONSTRAINT face_vector_model_id_fkey FOREIGN KEY(model_id) REFERENCES vector_model (model_id),
    CONSTRAINT face_vector_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT face_vector_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE
);

CREATE INDEX face_vector_collection_idx ON face_vector (collection_id, model_id);

CREATE INDEX face_vector_picture_id_idx ON face_vector (picture_id);

CREATE TABLE embedding (
    collection_id INTEGER NOT NULL,
    recognizer TEXT NOT NULL,
    model_id SMALLINT,
    last_picture_id UUID,
    failed_count BIGINT DEFAULT '0' NOT NULL,
    running BOOLEAN DEFAULT 'true' NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    status BYTEA DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT embedding_pkey PRIMARY KEY (collection_id),
    CONSTRAINT embedding_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id),
    CONSTRAINT embedding_model_id_fkey FOREIGN KEY(model_id) REFERENCES vector_model (model_id)
);

CREATE TABLE enrollment (
    recognizer TEXT NOT NULL,
    recognizer_collection TEXT DEFAULT '' NOT NULL,
    person_id UUID NOT NULL,
    face_id UUID NOT NULL,
    external_face_id TEXT DEFAULT '' NOT NULL,
    content_sha256 BYTEA NOT NULL,
    state SMALLINT NOT NULL,
    status BYTEA DEFAULT '' NOT NULL,
    allow_similar BOOLEAN DEFAULT 'false' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_attempt_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT enrollment_pkey PRIMARY KEY (face_id, recognizer, recognizer_collection),
    CONSTRAINT enrollment_person_id_fkey FOREIGN KEY(person_id) REFERENCES person (person_id) ON DELETE CASCADE
);

CREATE INDEX enrollment_due_idx ON enrollment (next_attempt_time) WHERE next_attempt_time IS NOT NULL;

CREATE INDEX enrollment_person_id_idx ON enrollment (person_id);

CREATE TABLE action (
    action_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    type TEXT NOT NULL,
    summary TEXT DEFAULT '' NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    undone_by UUID,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT action_pkey PRIMARY KEY (action_id),
    CONSTRAINT action_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX action_collection_idx ON action (collection_id, action_id);

CREATE TABLE action_row (
    position BIGINT GENERATED ALWAYS AS IDENTITY,
    action_id UUID NOT NULL,
    table_name TEXT NOT NULL,
    face_id UUID,
    person_id UUID,
    before JSONB,
    after JSONB,
    CONSTRAINT action_row_pkey PRIMARY KEY (position),
    CONSTRAINT action_row_action_id_fkey FOREIGN KEY(action_id) REFERENCES action (action_id) ON DELETE CASCADE
);

CREATE INDEX action_row_action_id_idx ON action_row (action_id);

CREATE INDEX action_row_face_id_idx ON action_row (face_id);

CREATE INDEX action_row_person_id_idx ON action_row (person_id);

CREATE TABLE audit (
    audit_id BIGINT GENERATED ALWAYS AS IDENTITY,
    collection_id INTEGER NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    method TEXT NOT NULL,
    person_id UUID,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT audit_pkey PRIMARY KEY (audit_id),
    CONSTRAINT audit_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX audit_collection_idx ON audit (collection_id, audit_id);

CREATE INDEX audit_person_id_idx ON audit (person_id);

CREATE TABLE stale_picture (
    picture_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    CONSTRAINT stale_picture_pkey PRIMARY KEY (picture_id),
    CONSTRAINT stale_picture_picture_id_fkey FOREIGN KEY(picture_id) REFERENCES picture (picture_id) ON DELETE CASCADE,
    CONSTRAINT stale_picture_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE TABLE stale_face (
    stale_id BIGINT GENERATED ALWAYS AS IDENTITY,
    face_id UUID NOT NULL,
    cluster_id UUID,
    spread BOOLEAN DEFAULT 'false' NOT NULL,
    CONSTRAINT stale_face_pkey PRIMARY KEY (stale_id)
);

CREATE INDEX stale_face_face_id_idx ON stale_face (face_id);

CREATE TABLE person_receipt (
    receipt_id UUID NOT NULL,
    collection_id INTEGER NOT NULL,
    person_id UUID NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    complete BOOLEAN DEFAULT 'false' NOT NULL,
    pending JSONB DEFAULT '{}' NOT NULL,
    content BYTEA NOT NULL,
    next_attempt_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT person_receipt_pkey PRIMARY KEY (receipt_id),
    CONSTRAINT person_receipt_collection_id_fkey FOREIGN KEY(collection_id) REFERENCES collection (collection_id)
);

CREATE INDEX person_receipt_open_idx ON person_receipt (create_time) WHERE NOT complete;

CREATE INDEX person_receipt_person_id_idx ON person_receipt (person_id);

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('marquee.erasing', true) = 'on' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME;
END
$$;

CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    action UUID := nullif(current_setting('marquee.action_id', true), '')::uuid;
    old_row JSONB := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row JSONB := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    either JSONB := coalesce(new_row, old_row);
BEGIN
    IF action IS NOT NULL AND old_row IS DISTINCT FROM new_row THEN
        INSERT INTO action_row (action_id, table_name, face_id, person_id, before, after)
        VALUES (
            action,
            TG_TABLE_NAME,
            (either ->> 'face_id')::uuid,
            CASE WHEN TG_TABLE_NAME <> 'face' THEN (either ->> 'person_id')::uuid END,
            old_row,
            new_row
        );
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER person_change AFTER INSERT OR UPDATE OR DELETE ON person
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER person_alias_change AFTER INSERT OR UPDATE OR DELETE ON person_alias
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER identity_change AFTER INSERT OR UPDATE OR DELETE ON identity
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER decision_change AFTER INSERT OR UPDATE OR DELETE ON decision
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER face_refusal_change AFTER INSERT OR UPDATE OR DELETE ON face_refusal
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER people_refusal_change AFTER INSERT OR UPDATE OR DELETE ON people_refusal
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER skip_change AFTER INSERT OR UPDATE OR DELETE ON skip
    FOR EACH ROW EXECUTE FUNCTION record_change();

CREATE TRIGGER face_drawn AFTER INSERT ON face
    FOR EACH ROW WHEN (NEW.drawn) EXECUTE FUNCTION record_change();

CREATE TRIGGER face_erased AFTER DELETE ON face
    FOR EACH ROW WHEN (OLD.drawn) EXECUTE FUNCTION record_change();

CREATE FUNCTION mark_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_face (face_id, spread)
    VALUES (coalesce(NEW.face_id, OLD.face_id), TG_TABLE_NAME = 'decision');
    RETURN NULL;
END
$$;

CREATE TRIGGER decision_stale AFTER INSERT OR UPDATE OR DELETE ON decision
    FOR EACH ROW EXECUTE FUNCTION mark_stale();

CREATE TRIGGER face_refusal_stale AFTER INSERT OR UPDATE OR DELETE ON face_refusal
    FOR EACH ROW EXECUTE FUNCTION mark_stale();

CREATE FUNCTION mark_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale_face (face_id, cluster_id) VALUES (OLD.face_id, OLD.cluster_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER face_gone AFTER DELETE ON face
    FOR EACH ROW WHEN (OLD.cluster_id IS NOT NULL) EXECUTE FUNCTION mark_gone();

CREATE FUNCTION mark_enrollments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE enrollment SET next_attempt_time = now(), attempts = 0 WHERE face_id = coalesce(NEW.face_id, OLD.face_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER decision_enrolled AFTER INSERT OR UPDATE OR DELETE ON decision
    FOR EACH ROW EXECUTE FUNCTION mark_enrollments();

CREATE FUNCTION mark_enrollments_of_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE enrollment SET next_attempt_time = now(), attempts = 0 WHERE person_id = NEW.person_id;
    UPDATE enrollment SET next_attempt_time = now(), attempts = 0
    FROM decision WHERE decision.face_id = enrollment.face_id AND decision.person_id = NEW.person_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER person_enrolled AFTER UPDATE OF display_name, merged_id, delete_time ON person
    FOR EACH ROW WHEN (
        (OLD.display_name, OLD.merged_id, OLD.delete_time) IS DISTINCT FROM
        (NEW.display_name, NEW.merged_id, NEW.delete_time)
    ) EXECUTE FUNCTION mark_enrollments_of_person();

INSERT INTO stale_picture (picture_id, collection_id)
SELECT DISTINCT picture_id, collection_id FROM face JOIN picture USING (picture_id) WHERE current AND face.state = 1;
