"""The transfers between FLORA and a folder or an object store, by their public names."""

from flora_provider.transfers.from_object_storage import ObjectStorageToFloraOperator
from flora_provider.transfers.to_object_storage import FloraToObjectStorageOperator

__all__ = ["FloraToObjectStorageOperator", "ObjectStorageToFloraOperator"]
