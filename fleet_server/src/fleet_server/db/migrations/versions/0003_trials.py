"""Releases on trial"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("device_model", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trial", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("trial_mode", sa.String(length=16), nullable=False, server_default="shadow"))
        batch_op.add_column(sa.Column("trial_permille", sa.Integer(), nullable=False, server_default="1000"))
        batch_op.add_column(sa.Column("trial_grant", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("trial_grant_release", sa.String(length=64), nullable=True))
        batch_op.create_foreign_key("fk_device_model_trial", "release", ["trial"], ["digest"])
        batch_op.create_index(batch_op.f("ix_device_model_trial"), ["trial"], unique=False)
    with op.batch_alter_table("model_telemetry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("compared_with", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("compared_at", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("comparison", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mode", sa.String(length=8), nullable=False, server_default="rolling"))
        batch_op.add_column(sa.Column("share", sa.Float(), nullable=False, server_default="1"))


def downgrade() -> None:
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.drop_column("share")
        batch_op.drop_column("mode")
    with op.batch_alter_table("model_telemetry", schema=None) as batch_op:
        batch_op.drop_column("comparison")
        batch_op.drop_column("compared_at")
        batch_op.drop_column("compared_with")
    with op.batch_alter_table("device_model", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_model_trial"))
        batch_op.drop_constraint("fk_device_model_trial", type_="foreignkey")
        batch_op.drop_column("trial_grant_release")
        batch_op.drop_column("trial_grant")
        batch_op.drop_column("trial_permille")
        batch_op.drop_column("trial_mode")
        batch_op.drop_column("trial")
