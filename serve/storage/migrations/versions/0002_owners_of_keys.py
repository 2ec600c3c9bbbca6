"""Owners of keys: a key made in place of another has what belonged to that one"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("owner", sa.String(length=16), nullable=True))
    op.execute("UPDATE api_keys SET owner = id")
    with op.batch_alter_table("api_keys") as table:
        table.alter_column("owner", existing_type=sa.String(length=16), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        table.drop_column("owner")
