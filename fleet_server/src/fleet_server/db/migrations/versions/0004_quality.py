"""Drift, hardware and capture orders"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.add_column(sa.Column("temperature_at", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("hardware", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("hardware_at", sa.Float(), nullable=True))
    with op.batch_alter_table("model_telemetry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("drift", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("confidence", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.add_column(sa.Column("compared", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "quality_window",
        sa.Column("device", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=64), nullable=False),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("drift", sa.JSON(), nullable=False),
        sa.Column("confidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.id"]),
        sa.PrimaryKeyConstraint("device", "model", "release", "start"),
    )
    with op.batch_alter_table("quality_window", schema=None) as batch_op:
        batch_op.create_index("ix_quality_window_release_at", ["release", "at"], unique=False)
    op.create_table(
        "hardware_window",
        sa.Column("device", sa.String(length=36), nullable=False),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("temperature_dc", sa.Integer(), nullable=True),
        sa.Column("power_mw", _BIG, nullable=True),
        sa.Column("gpu_permille", sa.Integer(), nullable=True),
        sa.Column("slowed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["device.id"]),
        sa.PrimaryKeyConstraint("device", "start"),
    )
    op.create_table(
        "capture_order",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("device", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("not_after", sa.Float(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["device.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("capture_order", schema=None) as batch_op:
        batch_op.create_index("ix_capture_order_device_created", ["device", "created"], unique=False)
        batch_op.create_index(batch_op.f("ix_capture_order_state"), ["state"], unique=False)
    op.create_table(
        "capture_signature",
        sa.Column("capture", sa.String(length=32), nullable=False),
        sa.Column("kid", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["capture"], ["capture_order.id"]),
        sa.PrimaryKeyConstraint("capture", "kid"),
    )


def downgrade() -> None:
    op.drop_table("capture_signature")
    with op.batch_alter_table("capture_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_capture_order_state"))
        batch_op.drop_index("ix_capture_order_device_created")
    op.drop_table("capture_order")
    op.drop_table("hardware_window")
    with op.batch_alter_table("quality_window", schema=None) as batch_op:
        batch_op.drop_index("ix_quality_window_release_at")
    op.drop_table("quality_window")
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.drop_column("compared")
    with op.batch_alter_table("model_telemetry", schema=None) as batch_op:
        batch_op.drop_column("confidence")
        batch_op.drop_column("drift")
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_column("hardware_at")
        batch_op.drop_column("hardware")
        batch_op.drop_column("temperature_at")
