"""All that a ledger can tell, over any connection: what readers and the writer share."""

from rlaif.ledger.complaint_reads import ComplaintReads
from rlaif.ledger.content_reads import ContentReads
from rlaif.ledger.critique_lineage import LineageReads
from rlaif.ledger.digest import ledger_digest
from rlaif.ledger.faults import translated
from rlaif.ledger.label_reads import LabelReads
from rlaif.ledger.reply_reads import ReplyReads
from rlaif.ledger.run_reads import RunReads


class LedgerReads(RunReads, ContentReads, ComplaintReads, LineageReads, ReplyReads, LabelReads):
    """Every question that the ledger answers; none of them writes."""

    def digest(self) -> str:
        """Return a digest over all content but clocks and host facts."""
        with translated(self.path):
            return ledger_digest(self.connection)
