CREATE TABLE notification_rule (
  rule_id uuid PRIMARY KEY,
  collection_id integer NOT NULL REFERENCES collection,
  name text NOT NULL,
  folded_name text NOT NULL,
  trigger smallint NOT NULL,
  subject text DEFAULT '' NOT NULL,
  folded_subject text DEFAULT '' NOT NULL,
  min_score real DEFAULT 0 NOT NULL,
  budget_share real DEFAULT 0 NOT NULL,
  channels text[] NOT NULL,
  quiet_seconds integer DEFAULT 0 NOT NULL,
  digest_seconds integer DEFAULT 0 NOT NULL,
  enabled boolean DEFAULT true NOT NULL,
  caller text DEFAULT '' NOT NULL,
  create_time timestamptz DEFAULT now() NOT NULL,
  begin_time timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT notification_rule_collection_id_folded_name_key UNIQUE (collection_id, folded_name)
);

CREATE TABLE notification_occurrence (
  occurrence_id uuid PRIMARY KEY,
  rule_id uuid NOT NULL REFERENCES notification_rule ON DELETE CASCADE,
  subject text DEFAULT '' NOT NULL,
  picture_count bigint DEFAULT 0 NOT NULL,
  first_time timestamptz NOT NULL,
  last_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  data jsonb DEFAULT '{}' NOT NULL
);

CREATE INDEX notification_occurrence_rule_idx ON notification_occurrence (rule_id, subject, end_time);

CREATE INDEX notification_occurrence_end_idx ON notification_occurrence (end_time);

CREATE TABLE notification_sighting (
  picture_id uuid NOT NULL REFERENCES picture ON DELETE CASCADE,
  rule_id uuid NOT NULL REFERENCES notification_rule ON DELETE CASCADE,
  subject text DEFAULT '' NOT NULL,
  occurrence_id uuid NOT NULL REFERENCES notification_occurrence ON DELETE CASCADE,
  position bigint NOT NULL,
  PRIMARY KEY (picture_id, rule_id, subject)
);

CREATE INDEX notification_sighting_occurrence_idx ON notification_sighting (occurrence_id, position);

CREATE INDEX notification_sighting_rule_idx ON notification_sighting (rule_id);

CREATE TABLE notification_delivery (
  delivery_id uuid PRIMARY KEY,
  occurrence_id uuid NOT NULL REFERENCES notification_occurrence ON DELETE CASCADE,
  collection_id integer NOT NULL REFERENCES collection,
  channel text NOT NULL,
  state smallint NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  lease_token uuid,
  lease_time timestamptz,
  status bytea DEFAULT '' NOT NULL,
  create_time timestamptz DEFAULT now() NOT NULL,
  next_attempt_time timestamptz,
  end_time timestamptz,
  CONSTRAINT notification_delivery_lease_check CHECK ((state = 2) = (lease_token IS NOT NULL))
);

CREATE INDEX notification_delivery_occurrence_id_idx ON notification_delivery (occurrence_id);

CREATE INDEX notification_delivery_due_idx ON notification_delivery (channel, next_attempt_time) WHERE state = 1;

CREATE INDEX notification_delivery_lease_idx ON notification_delivery (lease_time) WHERE state = 2;

CREATE INDEX notification_delivery_dead_idx ON notification_delivery (end_time) WHERE state = 4;

CREATE INDEX notification_delivery_collection_idx ON notification_delivery (collection_id, state, delivery_id);

CREATE TABLE notification_cursor (cursor_id smallint PRIMARY KEY, position bigint NOT NULL);

INSERT INTO notification_cursor SELECT 1, coalesce(max(position), 0) FROM event;
